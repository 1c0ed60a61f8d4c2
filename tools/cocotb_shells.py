"""What runs inside the simulator for :mod:`tools.cocotb_benches`: masters that others wrote drive the shell's pins.

Each finds its numbers in the JSON file that ``HLS4RL_BENCH`` names, and writes there what came of it.
"""

from __future__ import annotations

import itertools
import json
import logging
import os
import random
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, FallingEdge, RisingEdge, with_timeout
from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiResp, AxiStreamBus, AxiStreamSink, AxiStreamSource
from cocotbext.wishbone.driver import WBOp, WishboneMaster

_PERIOD_NS = 10
_PAUSE = 0.4
_RESET_EVERY, _DAMAGE_EVERY = 500, 50
"""Transactions, on average, between two resets in mid-transfer, and between two packets of a wrong length or accesses
that must be refused."""
_PATIENCE_CLOCKS = 4000
_READY, _ANSWERED, _OVERRUN = 1, 2, 4
_CONTROL, _STATUS, _COUNT, _OBSERVATION, _NEXT, _ACTION = 0x14, 0x18, 0x1C, 0x20, 0x24, 0x40
_REFUSED = ((0x00, True), (0x1C, True), (0x28, True), (0x28, False), (0x3C, False), (0x21, True))
"""Byte address, and whether it is written, of accesses that no register answers."""


class Bench:
    """One bus's test: what is asked, and what came of it."""

    def __init__(self) -> None:
        self._path = Path(os.environ["HLS4RL_BENCH"])
        given: dict[str, Any] = json.loads(self._path.read_text(encoding="utf-8"))
        self.observations: list[list[int]] = given["observations"]
        self.expected: list[list[int]] = given["expected"]
        self.wanted: int = given["transactions"]
        self.lanes, self.lane_bytes, self.in_bytes = given["lanes"], given["lane_bytes"], given["in_bytes"]
        self.word_features, self.action_bytes = given["word_features"], given["action_bytes"]
        self.actions, self.signed = given["actions"], given["signed"]
        self.random = random.Random(given["seed"])
        self.found = {"transactions": 0, "observations": 0, "mismatches": 0, "resets": 0, "damaged": 0}

    def pauses(self) -> Iterator[bool]:
        """Whether a side waits in a clock."""
        while True:
            yield self.random.random() < _PAUSE

    def one_in(self, count: int) -> bool:
        """True once in ``count`` calls, on average."""
        return self.random.randrange(count) == 0

    def beats(self, row: int) -> list[bytes]:
        """An observation as the bus takes it, the last one filled up."""
        result = []
        features = self.observations[row]
        for start in range(0, len(features), self.word_features):
            word = features[start:start + self.word_features]
            word += [0] * (self.word_features - len(word))
            for index in range(0, self.word_features, self.lanes):
                lanes = (value % (1 << 8 * self.lane_bytes) for value in word[index:index + self.lanes])
                data = b"".join(value.to_bytes(self.lane_bytes, "little") for value in lanes)
                result.append(data + bytes(self.in_bytes - len(data)))
        return result

    def check(self, row: int, action: list[int]) -> None:
        """Hold an answer against the integer network's."""
        self.found["observations"] += 1
        self.found["mismatches"] += action != self.expected[row]

    def integers(self, data: bytes) -> list[int]:
        """The integers of an action's bytes."""
        size = self.action_bytes
        parts = [data[index * size:(index + 1) * size] for index in range(self.actions)]
        return [int.from_bytes(part, "little", signed=self.signed) for part in parts]

    def end(self) -> None:
        """Leave the figures, and fail where an answer was wrong."""
        self._path.with_suffix(".result").write_text(json.dumps(self.found), encoding="utf-8")
        assert self.found["mismatches"] == 0, self.found


async def _in_time(waiting: Awaitable[Any]) -> Any:
    return await with_timeout(waiting, _PATIENCE_CLOCKS * _PERIOD_NS, "ns")


def _quiet() -> None:
    for name in ("cocotb", "cocotb.policy"):
        logging.getLogger(name).setLevel(logging.ERROR)


async def _reset(clock: Any, reset: Any, active: int) -> None:
    await FallingEdge(clock)
    reset.value = active
    await ClockCycles(clock, 3)
    await FallingEdge(clock)
    reset.value = 1 - active
    await RisingEdge(clock)


@cocotb.test()  # type: ignore[untyped-decorator]
async def axis(dut: Any) -> None:
    """Packets of observations by cocotbext-axi's source, answers by its sink; both pause, packets may be damaged."""
    bench = Bench()
    _quiet()
    Clock(dut.aclk, _PERIOD_NS, unit="ns").start()
    dut.aresetn.value = 1
    source = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis"), dut.aclk, dut.aresetn, reset_active_level=False)
    sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis"), dut.aclk, dut.aresetn, reset_active_level=False)
    source.log.setLevel(logging.ERROR)
    sink.log.setLevel(logging.ERROR)
    await _reset(dut.aclk, dut.aresetn, 0)
    source.set_pause_generator(bench.pauses())
    sink.set_pause_generator(bench.pauses())
    fetched = 0
    while bench.found["transactions"] < bench.wanted:
        waiting: list[int] = []
        for row in itertools.islice(itertools.cycle(range(len(bench.observations))), fetched, fetched + 64):
            beats = bench.beats(row)
            if bench.one_in(_DAMAGE_EVERY):
                wrong = bench.random.choice([n for n in range(1, len(beats) + 3) if n != len(beats)])
                waiting.append(-1)
                await source.send(b"".join((beats * 4)[:wrong]))
            waiting.append(row)
            await source.send(b"".join(beats))
        stop = bench.random.randrange(len(waiting)) if bench.one_in(max(1, _RESET_EVERY // 64)) else len(waiting)
        for row in waiting[:stop]:
            frame = await _in_time(sink.recv(compact=False))
            bench.found["transactions"] += 1
            bad = frame.tuser if isinstance(frame.tuser, int) else frame.tuser[-1]
            assert int(bad) == (row < 0), "m_axis_tuser tells a packet of a wrong length, and no other"
            if row < 0:
                bench.found["damaged"] += 1
            else:
                bench.check(row, bench.integers(bytes(frame.tdata)))
                fetched += 1
        if stop < len(waiting):
            await ClockCycles(dut.aclk, bench.random.randrange(1, 8))
            await _reset(dut.aclk, dut.aresetn, 0)
            source.clear()
            sink.clear()
            bench.found["resets"] += 1
    bench.end()


Access = Callable[[int, int | None], Awaitable[tuple[bool, int]]]
"""Reads a register (no data) or writes one: whether it was taken, and what was read."""


class ResetError(Exception):
    """The bus was reset while an access was under way."""


async def _registers(bench: Bench, access: Access, reset: Callable[[], Awaitable[None]]) -> None:
    """Observations through registers, with accesses in between that must be refused, until enough was done."""

    async def register(address: int, data: int | None = None) -> int:
        good, content = await access(address, data)
        assert good, f"register 0x{address:02x} was refused"
        bench.found["transactions"] += 1
        return content

    row, answers = 0, 0
    while bench.found["transactions"] < bench.wanted:
        try:
            if bench.one_in(_DAMAGE_EVERY):
                address, write = bench.random.choice(_REFUSED)
                good, _ = await access(address, 0 if write else None)
                assert not good, f"an access to 0x{address:02x} was not refused"
                bench.found["transactions"] += 1
                bench.found["damaged"] += 1
            while not await register(_STATUS) & _READY:
                pass
            for beat in bench.beats(row):
                await register(_OBSERVATION, int.from_bytes(beat, "little"))
            while not (status := await register(_STATUS)) & _ANSWERED:
                pass
            assert not status & _OVERRUN, "an observation that began with READY was refused"
            action = [await register(_ACTION + 4 * index) for index in range(bench.actions)]
            await register(_NEXT, 0)
            bench.check(row, [_signed(value) if bench.signed else value for value in action])
            row, answers = (row + 1) % len(bench.observations), answers + 1
            if bench.one_in(100):
                assert await register(_COUNT) == answers, "COUNT is not the number of answers"
        except ResetError:
            answers = 0
            bench.found["resets"] += 1
            await reset()


def _signed(value: int) -> int:
    return value - (1 << 32) if value >> 31 else value


@cocotb.test()  # type: ignore[untyped-decorator]
async def axil(dut: Any) -> None:
    """Registers by cocotbext-axi's AXI4-Lite master; all five channels pause."""
    bench = Bench()
    _quiet()
    Clock(dut.s_axi_aclk, _PERIOD_NS, unit="ns").start()
    dut.s_axi_aresetn.value = 1
    bus = AxiLiteBus.from_prefix(dut, "s_axi")
    master = AxiLiteMaster(bus, dut.s_axi_aclk, dut.s_axi_aresetn, reset_active_level=False)
    writer, reader = master.write_if, master.read_if
    for channel in (writer.aw_channel, writer.w_channel, writer.b_channel, reader.ar_channel, reader.r_channel):
        channel.log.setLevel(logging.ERROR)
    for part in (writer, reader):
        part.log.setLevel(logging.ERROR)

    async def reset() -> None:
        await _reset(dut.s_axi_aclk, dut.s_axi_aresetn, 0)

    async def access(address: int, data: int | None) -> tuple[bool, int]:
        if bench.one_in(_RESET_EVERY * 4):
            word = address // 4 * 4
            (master.init_read(word, 4) if data is None else master.init_write(word, data.to_bytes(4, "little")))
            await ClockCycles(dut.s_axi_aclk, bench.random.randrange(1, 6))
            raise ResetError
        if data is None:
            read = await _in_time(master.read(address, 4))
            return read.resp == AxiResp.OKAY, int.from_bytes(read.data, "little")
        size = 4 if address % 4 == 0 else 1  # an odd address: a write of less than 32 bits
        written = await _in_time(master.write(address, data.to_bytes(4, "little")[:size]))
        return written.resp == AxiResp.OKAY, 0

    await reset()
    for channel in (writer.aw_channel, writer.w_channel, writer.b_channel, reader.ar_channel, reader.r_channel):
        channel.set_pause_generator(bench.pauses())
    await _registers(bench, access, reset)
    bench.end()


@cocotb.test()  # type: ignore[untyped-decorator]
async def wishbone(dut: Any) -> None:
    """Registers by cocotbext-wishbone's master, in classic cycles, with idle clocks."""
    bench = Bench()
    _quiet()
    Clock(dut.clk_i, _PERIOD_NS, unit="ns").start()
    dut.rst_i.value = 0
    pins = {"cyc": "cyc_i", "stb": "stb_i", "we": "we_i", "adr": "adr_i", "datwr": "dat_i", "datrd": "dat_o",
            "ack": "ack_o", "err": "err_o", "sel": "sel_i"}
    master = WishboneMaster(dut, None, dut.clk_i, timeout=_PATIENCE_CLOCKS, signals_dict=pins)
    master.log.setLevel(logging.ERROR)

    async def reset() -> None:
        await _reset(dut.clk_i, dut.rst_i, 1)

    async def access(address: int, data: int | None) -> tuple[bool, int]:
        if bench.one_in(_RESET_EVERY * 4):
            cycle = cocotb.start_soon(master.send_cycle([WBOp(address // 4, data)]))
            await ClockCycles(dut.clk_i, bench.random.randrange(1, 5))
            cycle.cancel()
            master.busy = False
            dut.cyc_i.value = dut.stb_i.value = 0
            raise ResetError
        sel = 0xF if address % 4 == 0 else 0x1
        idle = bench.random.randrange(3)
        results = await _in_time(master.send_cycle([WBOp(address // 4, data, idle=idle, sel=sel)]))
        return results[0].ack == 1, 0 if data is not None else int(results[0].datrd)

    await reset()
    await _registers(bench, access, reset)
    bench.end()


