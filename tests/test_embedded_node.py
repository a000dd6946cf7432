"""Another client, from another house: the one for Node, against the embedded server.

What two clients of their own making agree on is the protocol, and not a habit of either.
"""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from kurrentdbclient import KurrentDBClient

from procutils.embedded import EmbeddedKurrentDB

PACKAGE = "@kurrent/kurrentdb-client@1.3.1"
#: Seconds for the package to be fetched, and for what is done with it.
FETCHING, RUNNING = 120, 60

SCRIPT = """
import { strict as assert } from "node:assert";
import {
  KurrentDBClient, NO_STREAM, PARK, SKIP, START, WrongExpectedVersionError, StreamNotFoundError,
  PersistentSubscriptionDoesNotExistError, PersistentSubscriptionExistsError, eventTypeFilter,
  jsonEvent, persistentSubscriptionToAllSettingsFromDefaults as toAllSettings,
  persistentSubscriptionToStreamSettingsFromDefaults as toStreamSettings,
} from "@kurrent/kurrentdb-client";

const client = KurrentDBClient.connectionString(process.argv[2].replace("?Tls", "?tls"));
const made = (n) => jsonEvent({ type: "Made", data: { n }, metadata: { $correlationId: "c1" } });
const take = async (source, count, each = () => {}) => {
  const taken = [];
  for await (const item of source) {
    await each(item);
    taken.push(item.event.data.n);
    if (taken.length === count) break;
  }
  return taken;
};

const done = {};
const appended = await client.appendToStream("node-1", [made(0), made(1), made(2)],
  { streamState: NO_STREAM });
assert.equal(appended.success, true);
assert.equal(appended.nextExpectedRevision, 2n);
await assert.rejects(client.appendToStream("node-1", made(9), { streamState: NO_STREAM }),
  WrongExpectedVersionError);
done.read = await take(client.readStream("node-1"), 3);
done.backwards = await take(client.readStream("node-1",
  { direction: "backwards", fromRevision: "end", maxCount: 2 }), 2);
done.correlated = await take(client.readStream("$bc-c1", { resolveLinkTos: true }), 3);
await assert.rejects(take(client.readStream("nothing"), 1), StreamNotFoundError);

const live = client.subscribeToAll({ filter: eventTypeFilter({ prefixes: ["Made"] }) });
const following = take(live, 5);
await client.appendToStream("node-2", [made(3), made(4)]);
done.followed = await following;
await live.unsubscribe();

const settings = toStreamSettings({ startFrom: START });
await client.createPersistentSubscriptionToStream("node-1", "g", settings);
await assert.rejects(client.createPersistentSubscriptionToStream("node-1", "g", settings),
  PersistentSubscriptionExistsError);
const group = client.subscribeToPersistentSubscriptionToStream("node-1", "g");
const stats = async () => (await client.getPersistentSubscriptionToStreamInfo("node-1", "g")).stats;
const settled = async () => {  // an answer still on its way when the stream closes would be lost
  for (let i = 0; i < 500; i++) {
    const { parkedMessageCount, totalInFlightMessages } = await stats();
    if (Number(parkedMessageCount) === 1 && Number(totalInFlightMessages) === 0) return;
    await new Promise((wake) => setTimeout(wake, 20));
  }
};
done.delivered = await take(group, 3, async (item) => {
  if (item.event.data.n === 1) await group.nack(PARK, "not now", item);
  else await group.ack(item);
  if (item.event.data.n === 2) await settled();
});
await group.unsubscribe();
done.parked = Number((await stats()).parkedMessageCount);
await client.replayParkedMessagesToStream("node-1", "g");
const again = client.subscribeToPersistentSubscriptionToStream("node-1", "g");
done.replayed = await take(again, 1, (item) => again.ack(item));
await again.unsubscribe();
await client.deletePersistentSubscriptionToStream("node-1", "g");
await assert.rejects(client.getPersistentSubscriptionToStreamInfo("node-1", "g"),
  PersistentSubscriptionDoesNotExistError);

await client.createPersistentSubscriptionToAll("all", toAllSettings({ startFrom: START }),
  { filter: eventTypeFilter({ prefixes: ["Made"] }) });
const all = client.subscribeToPersistentSubscriptionToAll("all");
done.all = await take(all, 5, (item) => all.nack(SKIP, "seen", item));
await all.unsubscribe();
done.listed = (await client.listAllPersistentSubscriptions()).map((each) => each.groupName);

const together = await client.multiStreamAppend([
  { streamName: "node-3", expectedState: NO_STREAM, events: [made(5)] },
  { streamName: "node-4", expectedState: NO_STREAM, events: [made(6)] },
]);
assert.ok(together.position > 0n);
await client.tombstoneStream("node-2");
console.log(JSON.stringify(done));
await client.dispose();
"""


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which Node finds the client."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    folder = tmp_path_factory.mktemp("node")
    (folder / "package.json").write_text('{"private": true}')
    command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", PACKAGE]
    try:
        fetched = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=FETCHING
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"{PACKAGE} could not be fetched in {FETCHING} seconds")
    if fetched.returncode != 0:
        pytest.skip(f"{PACKAGE} could not be fetched: {fetched.stderr.strip()[-200:]}")
    return folder


def test_the_client_for_node(node: Path, tmp_path: Path):
    (node / "check.mjs").write_text(SCRIPT)
    with EmbeddedKurrentDB(tmp_path) as server:
        run = subprocess.run(
            ["node", "check.mjs", server.uri],
            cwd=node,
            capture_output=True,
            text=True,
            timeout=RUNNING,
        )
        assert run.returncode == 0, run.stderr
        with KurrentDBClient(server.uri) as client:
            texts = [event.data for event in client.get_stream("node-1")]
            assert [json.loads(text) for text in texts] == [{"n": n} for n in range(3)]
            assert json.loads(client.get_stream("node-4")[0].data) == {"n": 6}
    assert json.loads(run.stdout) == {
        "read": [0, 1, 2],
        "backwards": [2, 1],
        "correlated": [0, 1, 2],
        "followed": [0, 1, 2, 3, 4],
        "delivered": [0, 1, 2],
        "parked": 1,
        "replayed": [1],
        "all": [0, 1, 2, 3, 4],
        "listed": ["all"],
    }
