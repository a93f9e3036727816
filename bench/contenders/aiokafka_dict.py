"""aiokafka's getmany, msgspec and a dict without durable state: the upper bound of reading and decoding in Python."""

from __future__ import annotations

import msgspec
import uvloop
from aiokafka import AIOKafkaConsumer, TopicPartition

from bench.contenders.work import Report, advance, task


class Row(msgspec.Struct):
    """The used fields of an event; the decoder skips the others."""

    code: str
    fin_balance: float


async def main() -> None:
    """Read until all events are processed."""
    job, report, windows = task(), Report(), dict[str, list[float]]()
    decode = msgspec.json.Decoder(Row).decode
    consumer = AIOKafkaConsumer(bootstrap_servers=job.bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    consumer.assign([TopicPartition(job.topic, 0)])
    report.start()
    while report.events < job.events:
        for records in (await consumer.getmany(timeout_ms=100)).values():
            for record in records:
                if record.key is None:
                    continue  # punctuation
                row = decode(record.value)
                report.last[row.code] = advance(windows.setdefault(row.code, []), row.fin_balance)
                report.events += 1
    report.done()
    await consumer.stop()


uvloop.run(main())
