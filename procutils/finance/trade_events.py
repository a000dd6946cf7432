"""How the events of a trade come about, and what is known of it meanwhile."""

from __future__ import annotations

import math
import random
from datetime import date, datetime

from procutils.finance.calendar import add_business_days, at_work, on_day, soon
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
from procutils.finance.firm import ACCOUNTS, SYMBOLS
from procutils.finance.grammar import History, pick

SETTLEMENT_DAYS = 2  # business days after the trade date
REJECTION_CODES = {
    "insufficient_margin": "R-101",
    "position_limit_exceeded": "R-102",
    "symbol_halted": "R-103",
}


# What is known of an order --------------------------------------------------------------------


def filled(h: History) -> float:
    """The quantity filled so far."""
    if h.count(OrderFilled):
        return h.the(OrderFilled).total_quantity
    return sum(fill.filled_quantity for fill in h.all(OrderPartiallyFilled))


def remaining(h: History) -> float:
    return h.the(OrderSubmitted).quantity - filled(h)


def average_price(h: History, last_quantity: float = 0, last_price: float = 0) -> float:
    """The mean price of the fills, weighted by quantity, with one more fill if given."""
    if h.count(OrderFilled):
        return h.the(OrderFilled).average_price
    fills = [(f.filled_quantity, f.fill_price) for f in h.all(OrderPartiallyFilled)]
    fills.append((last_quantity, last_price))
    return round(sum(q * p for q, p in fills) / sum(q for q, _ in fills), 4)


def within_limit(h: History, price: float) -> bool:
    """A limit order trades at its limit or better."""
    order = h.the(OrderSubmitted)
    if order.order_type != "limit":
        return True
    return price <= order.price if order.side == "buy" else price >= order.price


def unsettled(h: History) -> float:
    return h.the(TradeBooked).quantity - sum(s.settled_quantity for s in h.all(TradeSettled))


# How events come about ------------------------------------------------------------------------


def submitted(h: History, rng: random.Random) -> tuple[OrderSubmitted, datetime]:
    symbol = rng.choice(list(SYMBOLS))
    order_type = pick(rng, {"market": 0.5, "limit": 0.35, "stop": 0.15})
    order = OrderSubmitted(
        order_id=h.key,
        account_id=rng.choice(ACCOUNTS),
        symbol=symbol,
        side=rng.choice(["buy", "sell"]),
        order_type=order_type,
        quantity=float(
            pick(rng, {100: 4, 200: 4, 500: 4, 1_000: 3, 2_000: 2, 5_000: 2, 10_000: 1})
        ),
        price=None if order_type == "market" else quote(rng, SYMBOLS[symbol], 0.03),
    )
    return order, h.now


def quote(rng: random.Random, price: float, spread: float) -> float:
    return round(price * rng.uniform(1 - spread, 1 + spread), 2)


def validated(h: History, rng: random.Random) -> tuple[OrderValidated, datetime]:
    order = h.the(OrderSubmitted)
    notional = order.quantity * SYMBOLS[order.symbol]
    event = OrderValidated(
        order_id=h.key,
        account_id=order.account_id,
        validation_checks=["margin_check", "position_limit", "trading_allowed"],
        margin_available=round(notional * rng.uniform(0.5, 4.0), 2),
    )
    return event, soon(rng, h.now, median=3, most=30)


def rejected(h: History, rng: random.Random) -> tuple[OrderRejected, datetime]:
    order = h.the(OrderSubmitted)
    large = order.quantity >= 5_000
    reason = pick(
        rng,
        {
            "insufficient_margin": 5,
            "position_limit_exceeded": 6 if large else 2,
            "symbol_halted": 1,
        },
    )
    event = OrderRejected(
        order_id=h.key,
        account_id=order.account_id,
        rejection_reason=reason,
        rejection_code=REJECTION_CODES[reason],
    )
    return event, soon(rng, h.now, median=3, most=30)


def routed(h: History, rng: random.Random) -> tuple[OrderRouted, datetime]:
    event = OrderRouted(
        order_id=h.key,
        venue=pick(rng, {"NYSE": 0.45, "NASDAQ": 0.4, "dark_pool": 0.15}),
        routed_quantity=h.the(OrderSubmitted).quantity,
        routing_strategy=pick(rng, {"smart": 0.6, "direct": 0.25, "algo": 0.15}),
    )
    return event, soon(rng, h.now, median=5, most=60)


def fill_price(h: History, rng: random.Random) -> float:
    order = h.the(OrderSubmitted)
    if order.order_type != "limit":
        return quote(rng, order.price or SYMBOLS[order.symbol], 0.005)
    better = round(order.price * rng.uniform(0, 0.005), 2)
    return round(order.price - better if order.side == "buy" else order.price + better, 2)


def fill_time(h: History, rng: random.Random) -> datetime:
    if h.the(OrderSubmitted).order_type == "market":
        return soon(rng, h.now, median=40, most=900)
    return at_work(rng, h.now, median=2_400, least=5, most=4 * 3_600)


def partially_filled(h: History, rng: random.Random) -> tuple[OrderPartiallyFilled, datetime]:
    rest = remaining(h)
    quantity = float(max(1, math.floor(rest * rng.uniform(0.2, 0.6))))
    event = OrderPartiallyFilled(
        order_id=h.key,
        fill_id=f"fill-{h.key}-{h.count(OrderPartiallyFilled) + 1}",
        filled_quantity=quantity,
        remaining_quantity=rest - quantity,
        fill_price=fill_price(h, rng),
        venue=h.the(OrderRouted).venue,
    )
    return event, fill_time(h, rng)


def completely_filled(h: History, rng: random.Random) -> tuple[OrderFilled, datetime]:
    fills = h.count(OrderPartiallyFilled) + 1
    event = OrderFilled(
        order_id=h.key,
        fill_id=f"fill-{h.key}-{fills}",
        total_quantity=h.the(OrderSubmitted).quantity,
        average_price=average_price(h, remaining(h), fill_price(h, rng)),
        total_fills=fills,
        venue=h.the(OrderRouted).venue,
    )
    return event, fill_time(h, rng)


def cancelled(h: History, rng: random.Random) -> tuple[OrderCancelled, datetime]:
    event = OrderCancelled(
        order_id=h.key,
        cancelled_quantity=remaining(h),
        filled_quantity=filled(h),
        cancel_reason=pick(rng, {"user_requested": 0.5, "timeout": 0.3, "market_close": 0.2}),
    )
    return event, at_work(rng, h.now, median=3_600, least=20)


def booked(h: History, rng: random.Random) -> tuple[TradeBooked, datetime]:
    order, at = h.the(OrderSubmitted), soon(rng, h.now, median=60, most=1_800)
    event = TradeBooked(
        trade_id=f"trade-{h.key}",
        order_id=h.key,
        account_id=order.account_id,
        symbol=order.symbol,
        side=order.side,
        quantity=filled(h),
        price=average_price(h),
        trade_date=at.date().isoformat(),
        settlement_date=add_business_days(at.date(), SETTLEMENT_DAYS).isoformat(),
    )
    return event, at


def settled(h: History, rng: random.Random) -> tuple[TradeSettled, datetime]:
    trade, rest, retry = h.the(TradeBooked), unsettled(h), h.count(TradeSettled) > 0
    if retry:
        status = pick(rng, {"late": 0.85, "failed": 0.15})
    else:
        status = pick(rng, {"settled": 0.84, "late": 0.04, "failed": 0.07, "partial": 0.05})
    quantity = {"failed": 0.0, "partial": float(max(1, rest * rng.randint(3, 8) // 10))}
    due = date.fromisoformat(trade.settlement_date)
    if retry or status == "late":
        day = add_business_days(h.now.date() if retry else due, rng.randint(1, 3))
    else:
        day = due
    event = TradeSettled(
        trade_id=trade.trade_id,
        settlement_id=f"settlement-{h.key}-{h.count(TradeSettled) + 1}",
        settlement_status=status,
        settled_quantity=quantity.get(status, rest),
        settlement_amount=round(quantity.get(status, rest) * trade.price, 2),
    )
    return event, on_day(rng, day)


def confirmed(h: History, rng: random.Random) -> tuple[TradeConfirmed, datetime]:
    retry = h.count(TradeConfirmed) > 0
    event = TradeConfirmed(
        trade_id=f"trade-{h.key}",
        confirmation_id=f"confirmation-{h.key}-{h.count(TradeConfirmed) + 1}",
        sent_to=pick(rng, {"email": 0.3, "api": 0.4, "swift": 0.3}),
        confirmed=True if retry else rng.random() < 0.92,
    )
    return event, soon(rng, h.now, median=300, most=3_600)
