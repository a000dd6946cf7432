"""Trades: from the order to the confirmed settlement."""

from __future__ import annotations

from datetime import date, datetime

from procutils.cases import END
from procutils.finance import trade_events as make
from procutils.finance.calendar import add_business_days
from procutils.finance.events import (
    OrderCancelled,
    OrderFilled,
    OrderPartiallyFilled,
    OrderRejected,
    OrderRouted,
    OrderSubmitted,
    OrderValidated,
    TradeBooked,
    TradeConfirmed,
    TradeSettled,
)
from procutils.finance.grammar import History, Step, When, payload, timing
from procutils.finance.process import Process
from procutils.finance.trade_events import (
    average_price,
    filled,
    remaining,
    unsettled,
    within_limit,
)

MOST_PARTIAL_FILLS = 3


def settles_in_time(h: History, e: TradeSettled, at: datetime) -> bool:
    due = date.fromisoformat(h.the(TradeBooked).settlement_date)
    if e.settlement_status == "late":
        return due < at.date()
    return at.date() == due or h.count(TradeSettled) > 0


def settles_what_is_open(h: History, e: TradeSettled, at: datetime) -> bool:
    if e.settlement_status == "failed":
        return e.settled_quantity == 0
    if e.settlement_status == "partial":
        return 0 < e.settled_quantity < unsettled(h)
    return e.settled_quantity == unsettled(h)


def same_venue(h: History, e: OrderFilled | OrderPartiallyFilled, at: datetime) -> bool:
    return e.venue == h.the(OrderRouted).venue


def by_order_type(market: float, limit: float, stop: float):
    weights = {"market": market, "limit": limit, "stop": stop}
    return lambda h: weights[h.the(OrderSubmitted).order_type]


def was_settled(h: History) -> bool:
    return h.the(TradeSettled).settlement_status in ("settled", "late")


TRADE = Process(
    "trade",
    key="order_id",
    constant=("account_id", "symbol", "side", "trade_id"),
    steps=[
        Step(
            OrderSubmitted,
            make.submitted,
            {
                OrderValidated: 0.9,
                OrderRejected: lambda h: 0.25 if h.the(OrderSubmitted).quantity >= 5_000 else 0.06,
            },
            (
                payload("quantity", "it is positive", lambda h, e, at: e.quantity > 0),
                payload(
                    "price",
                    "a market order has no price, any other has one",
                    lambda h, e, at: (e.price is None) == (e.order_type == "market"),
                ),
            ),
        ),
        Step(OrderValidated, make.validated, {OrderRouted: 0.95, OrderCancelled: 0.05}),
        Step(
            OrderRejected,
            make.rejected,
            {END: 1.0},
            (
                payload(
                    "rejection_code",
                    "the code is that of the reason",
                    lambda h, e, at: e.rejection_code == make.REJECTION_CODES[e.rejection_reason],
                ),
            ),
        ),
        Step(
            OrderRouted,
            make.routed,
            {
                OrderFilled: by_order_type(0.72, 0.42, 0.5),
                OrderPartiallyFilled: by_order_type(0.25, 0.4, 0.35),
                OrderCancelled: by_order_type(0.03, 0.18, 0.15),
            },
            (
                payload(
                    "routed_quantity",
                    "the whole order is routed",
                    lambda h, e, at: e.routed_quantity == h.the(OrderSubmitted).quantity,
                ),
            ),
        ),
        Step(
            OrderPartiallyFilled,
            make.partially_filled,
            {
                OrderFilled: 0.6,
                OrderPartiallyFilled: When(
                    lambda h: h.count(OrderPartiallyFilled) < MOST_PARTIAL_FILLS,
                    f"up to {MOST_PARTIAL_FILLS} times",
                    by_order_type(0.25, 0.35, 0.35),
                ),
                OrderCancelled: by_order_type(0.04, 0.12, 0.1),
            },
            (
                payload(
                    "filled_quantity",
                    "filled and remaining quantities add up to the order, and neither is zero",
                    lambda h, e, at: (
                        0 < e.filled_quantity == remaining(h) - e.remaining_quantity < remaining(h)
                    ),
                ),
                payload(
                    "fill_price",
                    "a limit order trades at its limit or better",
                    lambda h, e, at: within_limit(h, e.fill_price),
                ),
                payload("venue", "the order trades where it was routed", same_venue),
            ),
        ),
        Step(
            OrderFilled,
            make.completely_filled,
            {TradeBooked: 1.0},
            (
                payload(
                    "total_quantity",
                    "the fills add up to the order",
                    lambda h, e, at: e.total_quantity == h.the(OrderSubmitted).quantity,
                ),
                payload(
                    "total_fills",
                    "every fill is counted",
                    lambda h, e, at: e.total_fills == h.count(OrderPartiallyFilled) + 1,
                ),
                payload(
                    "average_price",
                    "a limit order trades at its limit or better",
                    lambda h, e, at: within_limit(h, e.average_price),
                ),
                payload("venue", "the order trades where it was routed", same_venue),
            ),
        ),
        Step(
            OrderCancelled,
            make.cancelled,
            {
                TradeBooked: When(lambda h: filled(h) > 0, "if something was filled"),
                END: When(lambda h: filled(h) == 0, "if nothing was filled"),
            },
            (
                payload(
                    "filled_quantity",
                    "it is what the fills add up to",
                    lambda h, e, at: e.filled_quantity == filled(h),
                ),
                payload(
                    "cancelled_quantity",
                    "filled and cancelled quantities add up to the order",
                    lambda h, e, at: e.cancelled_quantity == remaining(h),
                ),
            ),
        ),
        Step(
            TradeBooked,
            make.booked,
            {TradeSettled: 1.0},
            (
                payload(
                    "quantity",
                    "what is booked is what was filled",
                    lambda h, e, at: e.quantity == filled(h),
                ),
                payload(
                    "price",
                    "it is the average price of the fills",
                    lambda h, e, at: abs(e.price - average_price(h)) < 1e-6,
                ),
                timing(
                    "trade_date",
                    "a trade is booked under its own day",
                    lambda h, e, at: e.trade_date == at.date().isoformat(),
                ),
                timing(
                    "settlement_date",
                    "settlement is due two business days after the trade",
                    lambda h, e, at: (
                        e.settlement_date
                        == add_business_days(at.date(), make.SETTLEMENT_DAYS).isoformat()
                    ),
                ),
            ),
        ),
        Step(
            TradeSettled,
            make.settled,
            {
                TradeConfirmed: When(was_settled, "once all is settled", tier="payload"),
                TradeSettled: When(
                    lambda h: not was_settled(h) and h.count(TradeSettled) < 2,
                    "once, and if something is left to settle",
                ),
                END: When(
                    lambda h: not was_settled(h) and h.count(TradeSettled) == 2,
                    "if two attempts have failed",
                ),
            },
            (
                payload(
                    "settlement_status",
                    "a second attempt is late or fails",
                    lambda h, e, at: (
                        not h.count(TradeSettled) or e.settlement_status in ("late", "failed")
                    ),
                ),
                payload("settled_quantity", "it fits the status", settles_what_is_open),
                payload(
                    "settlement_amount",
                    "it is quantity times price",
                    lambda h, e, at: (
                        abs(e.settlement_amount - e.settled_quantity * h.the(TradeBooked).price)
                        < 0.01
                    ),
                ),
                timing(
                    "timestamp",
                    "it settles on its settlement date, or is late after it",
                    settles_in_time,
                ),
            ),
        ),
        Step(
            TradeConfirmed,
            make.confirmed,
            {
                TradeConfirmed: When(
                    lambda h: not h.the(TradeConfirmed).confirmed,
                    "if the counterparty has not confirmed",
                    tier="payload",
                ),
                END: When(
                    lambda h: h.the(TradeConfirmed).confirmed,
                    "when the counterparty has confirmed",
                    tier="payload",
                ),
            },
            (
                payload(
                    "confirmed",
                    "a second confirmation succeeds",
                    lambda h, e, at: e.confirmed or not h.count(TradeConfirmed),
                ),
            ),
        ),
    ],
)
