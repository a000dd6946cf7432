"""Event logs in and out: files made here, and real logs where PROCUTILS_DATA names their folder."""

import gzip
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from kurrentdbclient import NewEvent, StreamState

from procutils import logs
from procutils.__main__ import main
from procutils.cases import Case, Event
from procutils.logs import (
    Columns,
    LogError,
    LogQuestion,
    import_log,
    open_log,
)
from procutils.logs_export import export_log, write_log
from procutils.store import StoreError, categories, read_cases

CSV = """\
case:concept:name,concept:name,time:timestamp,org:resource,amount,case:budget,timestamp
A-1,submit,2020-01-06T09:00:00Z,Zoë,10.5,100,seen
A-1,批准,2020-01-06T10:00:00+01:00,7,,100,
B,submit,2020-01-06T08:30:00Z,7,3,,
"""

XES = """\
<?xml version="1.0" encoding="UTF-8"?>
<x:log xmlns:x="http://www.xes-standard.org/">
 <string key="creator" value="hand"><int key="version" value="3"/></string>
 <x:global scope="event"><string key="concept:name" value="unnamed"/></x:global>
 <x:trace>
  <string key="concept:name" value="A-1"/><int key="budget" value="100"/>
  <date key="REG" value="2020-01-06T09:00:00.000+01:00"/><boolean key="urgent" value="true"/>
  <x:event>
   <string key="concept:name" value="submit"/><string key="org:resource" value="7"/>
   <date key="time:timestamp" value="2020-01-06T09:00:00.000+01:00"/>
   <string key="lifecycle:transition" value="start"/><string key="amount" value="10.5"/>
   <string key="note" value="a &lt;b&gt; &#10;c"><string key="by" value="x"/></string>
   <list key="tags"><values><string key="tag" value="new"/><string key="tag" value="old"/></values>
   </list>
  </x:event>
  <x:event>
   <string key="concept:name" value="submit"/><int key="org:resource" value="8"/>
   <date key="time:timestamp" value="2020-01-06T09:30:00.000+01:00"/>
   <string key="lifecycle:transition" value="complete"/><float key="amount" value="11.0"/>
  </x:event>
 </x:trace>
 <x:trace><string key="concept:name" value="empty"/></x:trace>
</x:log>
"""


def at(hour: int, minute: int = 0) -> datetime:
    return datetime(2020, 1, 6, hour, minute, tzinfo=UTC)


def put(folder: Path, content: str | bytes, name: str = "log.csv") -> Path:
    file = folder / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


def cases_of(file: Path, **options) -> list[Case]:
    with open_log(file, "test", **options) as (log, _):
        return list(log)


def notes_of(file: Path, **options) -> str:
    with open_log(file, "test", **options) as (_, report):
        return str(report)


def plain(cases: list[Case]) -> dict[str, list[tuple]]:
    """Without category, positions and metadata; types of values told apart, as 1 and True."""
    return {
        case.id.partition("-")[2]: [
            (e.type, repr(sorted(e.data.items())), e.at) for e in case.events
        ]
        for case in cases
    }


@pytest.fixture
def category() -> str:
    """A category that no other test has, also where the database is shared."""
    return f"test{uuid4().hex}"


class TestCsv:
    def test_what_a_row_says_is_in_the_event(self, tmp_path):
        first, second = cases_of(put(tmp_path, CSV))
        assert [case.id for case in (first, second)] == ["test-B", "test-A-1"]  # by first event
        assert first.events == [Event("submit", {"org:resource": "7", "amount": 3}, at(8, 30))]
        data = {"case:budget": 100, "org:resource": "Zoë", "amount": 10.5, "timestamp_": "seen"}
        assert second.events == [
            Event("submit", data, at(9)),
            Event("批准", {"org:resource": "7"}, at(9)),
        ]

    def test_gzipped_or_not_whatever_the_name(self, tmp_path):
        packed = put(tmp_path, gzip.compress(CSV.encode()), "log.txt")
        assert cases_of(packed) == cases_of(put(tmp_path, CSV))

    @pytest.mark.parametrize("sign", [";", "\t", "|"])
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
    def test_delimiter_and_encoding_are_recognised(self, tmp_path, sign, encoding):
        file = put(tmp_path, CSV.replace(",", sign).encode(encoding))
        assert cases_of(file) == cases_of(put(tmp_path, CSV, "other.csv"))

    @pytest.mark.parametrize(
        "header", ["Case ID,Activity,Complete Timestamp", "case_id,event,time", "TraceID,Task,Date"]
    )
    def test_columns_are_recognised(self, tmp_path, header):
        file = put(tmp_path, f"{header},Resource\n1,go,2020-01-06 09:00:00,12\n")
        assert cases_of(file) == [Case("test-1", [Event("go", {"Resource": "12"}, at(9))])]

    def test_columns_may_be_given(self, tmp_path):
        text = "a,concept:name,b,time:timestamp\n1,x,go,2020-01-06\n"
        file = put(tmp_path, text.replace("time:timestamp", "when"))
        (case,) = cases_of(file, columns=Columns(case="a", activity="b", time="when"))
        assert case.events == [Event("go", {"concept:name_": "x"}, at(0))]

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("who,activity,time\n1,go,2020-01-06\n", r"the case; .*who, activity.*--case NAME"),
            ("case,what,time\n1,go,2020-01-06\n", "the activity; .*--activity NAME"),
            ("case,activity,when\n1,go,2020-01-06\n", "the time; .*--time NAME"),
            ("case id,case name,activity,time\n1,1,go,2020-01-06\n", "'case id' or 'case name'"),
            ("case,activity,time\n1,go,03/04/2020\n", "3 April .* or 4 March .*--time-format"),
            ("case,activity,time\n1,go,noon\n", "'noon'.*--time-format"),
            ("just some text\nand more\n", "one column.*--delimiter"),
            ("case,activity,time\n1,g\xf6,2020-01-06\n".encode("latin-1"), "--encoding"),
        ],
    )
    def test_what_is_not_clear_is_asked(self, tmp_path, text, message):
        with pytest.raises(LogQuestion, match=message):
            cases_of(put(tmp_path, text))

    def test_the_question_about_encoding_can_be_answered(self, tmp_path):
        file = put(tmp_path, "case,activity,time\n1,gö,2020-01-06\n".encode("cp1252"))
        (case,) = cases_of(file, columns=Columns(encoding="cp1252"))
        assert case.types == ("gö",)
        with pytest.raises(LogQuestion, match="no encoding 'klingon'"):
            cases_of(file, columns=Columns(encoding="klingon"))

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (CSV[:-12].encode(), "damaged at line 4: 3 values for 7 columns"),
            ((CSV + 'C,"go,2020-01-07,,,,\n').encode(), "damaged at line 5"),
            (gzip.compress(CSV.encode())[:-20], "damaged.*gzip"),
            (gzip.compress(CSV.encode())[:-8] + b"12345678", "damaged.*gzip"),
            (gzip.compress(CSV.encode() + b"\xff")[:-8] + b"12345678", "damaged.*gzip"),
            (b"PK\x03\x04rest", "zip archive or a workbook"),
            (b"", "is empty"),
            (CSV.splitlines()[0].encode(), "no event in it"),
            (b"case,activity,time\n1,go,\n", "no event has a time"),
        ],
    )
    def test_damage_is_named(self, tmp_path, content, message):
        with pytest.raises(LogError, match=message):
            cases_of(put(tmp_path, content))

    def test_what_was_odd_is_said_with_what_was_done(self, tmp_path):
        rows = [
            "1,b,2020-01-06 10:00:00,x",
            "2,a,2020-01-06 08:00:00,x",
            "1,a,2020-01-06 09:00:00,x",  # out of order
            "1,,2020-01-06 09:00:00,x",
            ",a,2020-01-06 09:00:00,x",
            "1,c,,x",  # after the row before it of its case
            "1,d,soon,x",
            "2,a,2020-01-06 08:00:00,x",  # the same again
            "3,a,,x",
            "2,$x,2020-01-06 11:00:00,x",
        ]
        file = put(tmp_path, "case,activity,time,v\n" + "\n".join(rows) + "\n")
        two, one = cases_of(file)
        assert one.types == ("a", "c", "d", "b") and one.events[1].at == at(9)
        assert two.types == ("a", "a", "_$x")
        report = notes_of(file)
        for sentence in (
            "2 cases, 7 events, 5 activities",
            "1 × event later in the file than one after it: put in order (first at line 4)",
            "1 × event without an activity: left out (first at line 5)",
            "1 × row without a case: left out (first at line 6)",
            "2 × event without a time: given that of its neighbour (first at line 7)",
            "1 × time that is not understood, such as 'soon': given that of its neighbour",
            "1 × event that another repeats in every value: kept (first at line 9)",
            "1 × case none of whose events has a time: left out (first at line 10)",
            "1 × activity that begins with $: stored with _ before it (first at line 11)",
            "5 × time without a zone: taken for UTC (--timezone)",
            "2 cases: enough to look at, too few to train",
        ):
            assert sentence in report

    def test_a_case_attribute_that_changes_belongs_to_the_events(self, tmp_path):
        text = "case,activity,time,case:x,case:y\n1,a,2020-01-06,1,5\n1,b,2020-01-07,2,5\n"
        (case,) = cases_of(put(tmp_path, text))
        assert [e.data for e in case.events] == [{"case:y": 5, "case:x": 1}, {"case:x": 2}]

    def test_text_that_mixes_or_names_something_stays_text(self, tmp_path):
        text = (
            "case,activity,time,mix,zip,user_id,flag,big\n"
            "1,a,2020-01-06,1,01234,5,True,12345678901234567890\n"
            "1,b,2020-01-07,x,56789,6,false,1\n"
        )
        (case,) = cases_of(put(tmp_path, text))
        assert case.events[1].data == {
            "mix": "x",
            "zip": "56789",
            "user_id": "6",
            "flag": False,
            "big": "1",
        }
        assert case.events[0].data["flag"] is True

    def test_commas_in_numbers(self, tmp_path):
        text = (
            "case;activity;time;amount;unclear;Rfp ID\n"
            "1;a;06.01.2020;10,5;1,234;5\n1;b;07.01.2020;1;5;6\n1;c;08.01.2020;1,234;;7\n"
        )
        (case,) = cases_of(put(tmp_path, text))
        assert [event.data for event in case.events] == [
            {"amount": 10.5, "unclear": "1,234", "Rfp ID": "5"},
            {"amount": 1, "unclear": "5", "Rfp ID": "6"},
            {"amount": 1.234, "Rfp ID": "7"},
        ]

    def test_a_delimiter_of_ones_own(self, tmp_path):
        file = put(tmp_path, CSV.replace(",", "~"))
        assert len(cases_of(file, columns=Columns(delimiter="~"))) == 2
        assert (
            len(cases_of(put(tmp_path, CSV.replace(",", "\t")), columns=Columns(delimiter="tab")))
            == 2
        )
        with pytest.raises(LogQuestion, match="one sign"):
            cases_of(file, columns=Columns(delimiter="~~"))


class TestXes:
    def test_what_an_element_says_is_in_the_event(self, tmp_path):
        (case,) = cases_of(put(tmp_path, XES))
        assert case.id == "test-A-1" and case.types == ("submit", "submit")
        assert [event.at for event in case.events] == [at(8), at(8, 30)]
        assert case.events[0].data == {
            "case:budget": 100,
            "case:REG": "2020-01-06T09:00:00.000+01:00",
            "case:urgent": True,
            "org:resource": "7",
            "lifecycle:transition": "start",
            "amount": 10.5,
            "note": "a <b> \nc",
            "note/by": "x",
            "tags/tag": "new",
            "tags/tag 2": "old",
        }
        assert case.events[1].data["org:resource"] == "8"
        report = notes_of(put(tmp_path, XES))
        assert "trace without events: left out" in report
        assert "declared as text, stored as numbers, which they are: amount" in report
        assert "complete, start: kept as an attribute (--lifecycle" in report

    def test_the_lifecycle_may_be_part_of_the_activity(self, tmp_path):
        (case,) = cases_of(put(tmp_path, XES), lifecycle=True)
        assert case.types == ("submit+start", "submit+complete")
        assert case.events[0].data["lifecycle:transition"] == "start"
        with pytest.raises(LogError, match="leave out --lifecycle"):
            cases_of(put(tmp_path, CSV), lifecycle=True)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (XES[:-40], "damaged, or no XML"),
            ("<html><body/></html>", "no XES: it begins with <html>"),
            (
                '<!DOCTYPE log [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><log>&b;</log>',
                "declares an entity, 'a'",
            ),
            ("<log/>", "no event in it"),
        ],
    )
    def test_damage_is_named(self, tmp_path, text, message):
        with pytest.raises(LogError, match=message):
            cases_of(put(tmp_path, text, "log.xes"))

    def test_traces_of_the_same_name_are_one_case(self, tmp_path):
        again = XES[XES.index(" <x:trace>") :].replace("2020-01-06", "2020-01-05")
        file = put(tmp_path, XES.replace("</x:log>\n", again), "log.xes")
        (case,) = cases_of(file)
        assert len(case.events) == 4
        assert "trace with the name of another: taken for the same case" in notes_of(file)

    def test_columns_mean_nothing_to_it(self, tmp_path):
        with pytest.raises(LogQuestion, match="no columns"):
            cases_of(put(tmp_path, XES), columns=Columns(case="x"))


names = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=8)
labels = names.filter(str.strip)
values = (
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cn"]), max_size=8)
    | st.integers(-(10**17), 10**17)
    | st.floats()
    | st.booleans()
    | st.sampled_from(["12", "1.5", "true", "007", "1e5", "2020-01-06T09:00:00Z", 'a "b", c\r\n'])
)
fields = st.sampled_from(["amount", "org:resource", "timestamp", "timestamp_", "case:sum"]) | names
event_lists = st.lists(
    st.builds(
        Event,
        type=labels,
        data=st.dictionaries(fields, values, max_size=4),
        at=st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(labels, event_lists, min_size=1, max_size=4))
def test_a_log_written_and_read_again_is_the_same(tmp_path, histories):
    """Either way, and from one to the other: what a first reading makes of it stays."""
    # Told apart as they are written and alike once read, they lose their place: known, and rare.
    shared = [
        e.data["case:sum"] for events in histories.values() for e in events if "case:sum" in e.data
    ]
    assume(len({type(value) for value in shared}) < 2)
    assume(len({str(value).lower() for value in shared}) == len({str(value) for value in shared}))
    folder = tmp_path / uuid4().hex
    folder.mkdir()
    first = folder / "first.xes"
    write_log([Case(f"any-{name}", events) for name, events in histories.items()], first)
    cases = cases_of(first)
    assert sum(len(case.events) for case in cases) == sum(map(len, histories.values()))
    for name in ("next.csv", "next.xes.gz", "next.csv.gz"):
        write_log(cases, folder / name)
        assert plain(cases_of(folder / name)) == plain(cases)


class TestStored:
    def test_a_log_comes_back_as_it_went_in(self, kurrentdb, category, tmp_path):
        for number, text in enumerate((CSV, XES)):
            name = f"{category}x{number}"
            with open_log(put(tmp_path, text), name) as (log, _):
                assert import_log(kurrentdb.client, log) == log.events
                cases = list(log)
            assert plain(read_cases(kurrentdb.client, name)) == plain(cases)
            for suffix in (".csv", ".xes.gz"):
                file = tmp_path / f"out{number}{suffix}"
                count, events, odd = export_log(kurrentdb.client, name, file)
                assert (count, events, odd) == (len(cases), sum(len(c.events) for c in cases), [])
                assert plain(cases_of(file)) == plain(cases)

    def test_a_second_import_writes_nothing_and_a_longer_log_the_rest(
        self, kurrentdb, category, tmp_path
    ):
        file = put(tmp_path, CSV)
        for expected in (3, 0):
            with open_log(file, category) as (log, _):
                assert import_log(kurrentdb.client, log) == expected
        longer = put(tmp_path, CSV + "B,paid,2020-01-08T09:00:00Z,7,2,,\n")
        with open_log(longer, category) as (log, _):
            assert import_log(kurrentdb.client, log) == 1

    def test_a_log_that_contradicts_what_is_stored_changes_nothing(
        self, kurrentdb, category, tmp_path
    ):
        with open_log(put(tmp_path, CSV), category) as (log, _):
            import_log(kurrentdb.client, log)
        before = read_cases(kurrentdb.client, category)
        other = CSV.replace("submit", "send") + "C,submit,2020-01-01T09:00:00Z,7,2,,\n"
        with (
            open_log(put(tmp_path, other), category) as (log, _),
            pytest.raises(StoreError, match=f"{category}-B .*Nothing was written"),
        ):
            import_log(kurrentdb.client, log)
        assert read_cases(kurrentdb.client, category) == before

    @pytest.mark.parametrize("batch", [1, 7, 10_000])
    def test_a_larger_log_broken_off_and_completed(
        self, kurrentdb, category, tmp_path, monkeypatch, batch
    ):
        monkeypatch.setattr(logs, "BATCH", batch)
        rows = [
            f"{n % 20},step {n % 3},{at(9) + timedelta(minutes=7 * n % 101):%Y-%m-%d %H:%M:%S},{n}"
            for n in range(200)
        ]
        file = put(tmp_path, "case,activity,time,n\n" + "\n".join(rows) + "\n")

        def breaking(items, what):
            for n, item in enumerate(items):
                if what == "appending" and n == 60:
                    raise KeyboardInterrupt
                yield item

        with open_log(file, category) as (log, _):
            with pytest.raises(KeyboardInterrupt):
                import_log(kurrentdb.client, log, breaking)
            stored = sum(len(case.events) for case in read_cases(kurrentdb.client, category))
            assert stored == 60 // batch * batch
            assert import_log(kurrentdb.client, log) == 200 - stored
            cases = list(log)
        found = read_cases(kurrentdb.client, category)
        assert plain(found) == plain(cases)
        positions = sorted((e.position, e.at) for case in found for e in case.events)
        assert batch > 1 or [at for _, at in positions] == sorted(at for _, at in positions)

    def test_large_events_go_in_several_appends(self, kurrentdb, category, tmp_path):
        rows = [f"1,go,2020-01-06 09:00:{n:02},{str(n) * 50_000}x" for n in range(10, 60)]
        with open_log(
            put(tmp_path, "case,activity,time,v\n" + "\n".join(rows) + "\n"), category
        ) as (
            log,
            _,
        ):
            assert import_log(kurrentdb.client, log) == 50
        (case,) = read_cases(kurrentdb.client, category)
        assert case.events[-1].data == {"v": "59" * 50_000 + "x"}

    def test_fields_of_any_category_are_exported(self, kurrentdb, category, tmp_path):
        data = {"deep": {"list": [1, {"x": True}]}, "none": None, "half": "\ud800", "nul": "\x00"}
        kurrentdb.client.append_event(
            f"{category}-1",
            current_version=StreamState.NO_STREAM,
            event=NewEvent("Done", json.dumps(data).encode()),
        )
        *_, odd = export_log(kurrentdb.client, category, tmp_path / "log.xes")
        assert len(odd) == 1 and "2 × " in odd[0]
        (case,) = cases_of(tmp_path / "log.xes")
        assert case.events[0].data == {
            "deep/list/1": 1,
            "deep/list/2/x": True,
            "half": "\ufffd",
            "nul": "\ufffd",
        }

    def test_what_cannot_be_exported(self, kurrentdb, category, tmp_path):
        with pytest.raises(LogError, match=f"no cases of a category '{category}'"):
            export_log(kurrentdb.client, category, tmp_path / "log.csv")
        with pytest.raises(LogError, match="must end in"):
            export_log(kurrentdb.client, category, tmp_path / "log.txt")
        with pytest.raises(LogError, match="exists already"):
            export_log(kurrentdb.client, category, put(tmp_path, "x"))
        assert sorted(os.listdir(tmp_path)) in (["kurrentdb", "log.csv"], ["log.csv"])


class TestCommandLine:
    def test_in_and_out(self, tmp_path, monkeypatch, capsys):
        monkeypatch.delenv("KURRENTDB_URI", raising=False)
        file, data = str(put(tmp_path, CSV)), ["--data", str(tmp_path / "db")]
        assert main(["import", file, "--category", "orders", "--check", *data]) == 0
        assert "nothing was written" in capsys.readouterr().out
        assert not (tmp_path / "db").exists()
        for written in (3, 0):
            assert main(["import", file, "--category", "orders", *data]) == 0
            assert f"{written} events written" in capsys.readouterr().out
        out = tmp_path / "out.xes"
        assert main(["export", "orders", str(out), *data]) == 0
        assert "2 cases, 3 events written" in capsys.readouterr().out
        assert plain(cases_of(out)) == plain(cases_of(Path(file)))
        assert main(["export", "parcels", str(tmp_path / "no.csv"), *data]) == 1
        assert "no cases of a category 'parcels'" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("text", "category", "status", "message"),
        [
            (CSV, "my-orders", 2, "'my_orders'"),
            (CSV, "anomaly", 2, "is for alerts"),
            (CSV.replace("T", " ").replace("2020-01-06", "1/6/2020"), "orders", 2, "--time-format"),
            (CSV.replace("case:concept:name", "who"), "orders", 2, "--case NAME"),
            (CSV[:-12], "orders", 1, "damaged"),
            (None, "orders", 1, "No such file"),
        ],
    )
    def test_what_fails_says_so_and_writes_nothing(
        self, tmp_path, capsys, text, category, status, message
    ):
        file = tmp_path / "log.csv" if text is None else put(tmp_path, text)
        data = tmp_path / "db"
        command = ["import", str(file), "--category", category, "--data", str(data)]
        assert main(command) == status
        assert message in capsys.readouterr().err and not data.exists()

    def test_help_is_quick(self):
        code = (
            "import sys, procutils.__main__ as m\n"
            "try: m.main(['import', '--help'])\n"
            "except SystemExit: print(sorted({'kurrentdbclient', 'sqlite3'} & set(sys.modules)))"
        )
        out = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
        ).stdout
        assert "--time-format" in out and out.rstrip().endswith("[]")


@pytest.mark.slow
class TestRealLogs:
    """DOIs: 10.4121/uuid:895b26fb-6f25-46eb-9e48-0dca26fcd030 (RequestForPayment),
    10.4121/uuid:0c60edf1-6f83-4e75-9367-4c63b3e9d5bb (Helpdesk),
    10.4121/uuid:3926db30-f712-4394-aebc-75976070e91f (BPI Challenge 2012).
    """

    @pytest.mark.parametrize(
        ("name", "lifecycle", "counts"),
        [
            ("BPIC20_RequestForPayment.csv.gz", False, (6_886, 36_796, 19)),
            ("Helpdesk.xes.gz", False, (4_580, 21_348, 14)),
            ("BPI_Challenge_2012.xes.gz", False, (13_087, 262_200, 24)),
            ("BPI_Challenge_2012.xes.gz", True, (13_087, 262_200, 36)),
        ],
    )
    def test_counts_and_round_trip(self, tmp_path, name, lifecycle, counts):
        folder = os.environ.get("PROCUTILS_DATA")
        if folder is None:
            pytest.skip("PROCUTILS_DATA does not name a folder with the real logs")
        with open_log(Path(folder) / name, "real", lifecycle=lifecycle) as (log, report):
            assert (report.cases, report.events, report.activities) == counts
            if report.events < 100_000:
                cases = list(log)
                for file in (tmp_path / "out.csv.gz", tmp_path / "out.xes"):
                    write_log(cases, file)
                    assert cases_of(file) == [Case(f"test{c.id[4:]}", c.events) for c in cases]


def test_no_category_is_left_by_a_failure(kurrentdb, category, tmp_path):
    with pytest.raises(LogError), open_log(put(tmp_path, CSV[:-12]), category) as (log, _):
        import_log(kurrentdb.client, log)
    assert category not in categories(kurrentdb.client)
