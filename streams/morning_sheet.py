"""The morning sheet without a console: its model from the topics, its PDF, and sending it through channels."""

from __future__ import annotations

import asyncio
from datetime import date
from pathlib import Path

from alerts.delivery.senders import AppriseSender
from alerts.errors import DeliveryError
from alerts.subject_names import Language
from console.directory import Directory
from console.model import ConsoleModel
from console.theme import View
from processors.days import shanghai_date
from processors.errors import MarginwatchError
from streams import readers, system_status
from streams.alert_rules import rules_of
from streams.calendars import xshg
from streams.clients import http_session, redis_client
from streams.console_feeds import feeds_of
from streams.errors import NothingYetError
from streams.feed_services import load_security_names
from streams.files import write_whole
from streams.settings import Settings


def model_of(settings: Settings, day: date | None) -> ConsoleModel:
    """Return what was known on a day, or is known now.

    Raises
    ------
    TopicError : if no broker answers.
    NothingYetError : if nothing is known, the day is in the future of the market's clock, or nothing was known on it.
    """
    day_rules = {rule.name for rule in rules_of(settings) if rule.covers_day}
    model = ConsoleModel(settings.parameters.streak_flags, xshg(settings.calendar_file), day_rules)
    for signal in readers.market_signals(settings):
        model.offer_market(signal)
    for securities in readers.security_signals(settings):
        model.offer_securities(securities)
    for industries in readers.industry_signals(settings):
        model.offer_industries(industries)
    for alert in readers.newest_alerts(settings):
        model.offer_alert(alert)
    with redis_client(settings) as client:
        model.offer_clock(system_status.replayed_to(settings, client))
        found = system_status.status(settings, client)
    model.offer_directory(Directory(load_security_names(settings)))
    model.offer_feeds(feeds_of(settings, found, model.clock.now()), found["calendar_days_left"])
    if not model.latest:
        raise NothingYetError(system_status.NO_SIGNAL)
    if day is None:
        return model
    if day > (today := shanghai_date(model.clock.now())):
        raise NothingYetError(f"{day} is later than today, {today} in Shanghai: choose an earlier --date")
    known = model.known_at(day)
    if not known.latest:
        raise NothingYetError(f"nothing was known on {day}: choose a later --date")
    return known


def write(settings: Settings, path: Path, day: date | None, language: Language) -> str:
    """Write the sheet of a day and return its title; raises `MarginwatchError` without the extra ``console``."""
    try:
        from console import sheet
    except ImportError as error:
        raise MarginwatchError(f"the sheet needs an extra ({error}): pip install 'marginwatch[console]'") from error
    model, view = model_of(settings, day), View(settings.parameters, language)
    write_whole(path, sheet.render(model, view))
    return sheet.title(model, view)


def send(settings: Settings, names: list[str], title: str, path: Path) -> dict[str, str]:
    """Send a sheet through channels of the kind apprise; return the error of each, "" where it went well."""

    async def send_one(name: str) -> str:
        channel = settings.channels[name]
        if channel.kind != "apprise":
            return f"a channel of the kind {channel.kind} takes no file: name one of apprise"
        async with http_session() as session:
            sender = AppriseSender(channel, session, settings.console_url)
            try:
                await sender.send_file(title, path)
            except (DeliveryError, OSError) as error:
                return next(iter((await sender.close()).values()), str(error))
        return ""

    return {name: asyncio.run(send_one(name)) for name in dict.fromkeys(names)}
