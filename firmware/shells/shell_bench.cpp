// Bus functional models in front of the simulated shell: what a bus master does, with pauses, resets and damaged packets
// at random, and a look at every clock for what the bus forbids. Compiled with the CXXRTL model of the module `policy`,
// -DBUS_AXIS, -DBUS_AXIL or -DBUS_WISHBONE, and for the latter two with the generated policy.h: the same driver that
// runs on a user's processor runs here, its loads and stores turned into cycles of the bus.
#include "model.cc"

#include <cstdint>
#include <cstdlib>
#include <deque>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

struct Fault : std::runtime_error { using std::runtime_error::runtime_error; };

struct Chance {
    std::mt19937_64 source{1};
    double pause = 0;                           // of a clock in which one side does not go on
    bool pauses() { return pause > 0 && double(source() >> 11) * 0x1p-53 < pause; }
    bool one_in(int64_t count) { return count > 0 && source() % uint64_t(count) == 0; }
    int64_t below(int64_t count) { return int64_t(source() % uint64_t(count)); }
};

struct Base {
    cxxrtl_design::p_policy model;
    Chance chance;
    int64_t clocks = 0, limit = 0;
    int64_t resets = 0, damaged = 0;

    void edge(cxxrtl::value<1> &clock) {
        clock.set<bool>(true);
        model.step();
        clock.set<bool>(false);
        model.step();
        if (++clocks > limit) throw Fault("no answer within the clocks that were given");
    }
};

template<size_t Bits> void put(cxxrtl::value<Bits> &port, int at, int bits, uint64_t content) {
    for (int bit = 0; bit < bits; bit++) {
        uint32_t &chunk = port.data[(at + bit) / 32];
        uint32_t mask = uint32_t(1) << ((at + bit) % 32);
        chunk = content >> bit & 1 ? chunk | mask : chunk & ~mask;
    }
}

template<size_t Bits> int32_t get(const cxxrtl::value<Bits> &port, int at, int bits) {
    uint32_t content = 0;
    for (int bit = 0; bit < bits; bit++)
        content |= (port.data[(at + bit) / 32] >> ((at + bit) % 32) & 1u) << bit;
    bool negative = SIGNED && bits < 32 && content >> (bits - 1) & 1;
    return int32_t(negative ? content | ~uint32_t(0) << bits : content);
}

}  // namespace

#ifdef BUS_AXIS
namespace {

constexpr int FRAME_BEATS = WORDS * BEATS;

struct Bench : Base {
    struct Packet { int64_t row; int beats; };  // row -1: a damaged one
    std::deque<Packet> waiting;                 // for their answers
    bool early = false;                         // the packet that is being sent has its answer already

    void clock() { edge(model.p_aclk); }

    void reset() {
        model.p_aresetn.set<bool>(false);
        model.p_s__axis__tvalid.set<bool>(false);
        for (int i = 0; i < 3; i++) {
            clock();
            if (model.p_m__axis__tvalid.get<bool>()) throw Fault("m_axis_tvalid is 1 during a reset");
        }
        model.p_aresetn.set<bool>(true);
        waiting.clear();
        early = false;
        resets++;
    }

    int64_t run(const int16_t *rows, int64_t count, int32_t *actions, int64_t reset_every, int64_t damage_every) {
        int64_t sent = 0, fetched = 0;
        Packet packet{-1, 0};
        int beat = 0;
        bool sending = false, valid = false, shown = false;
        auto before = model.p_m__axis__tdata.data[0];
        bool user = false;
        while (fetched < count) {
            if (chance.one_in(reset_every)) {
                reset();
                sent = fetched;
                sending = valid = shown = false;
            }
            if (!sending && sent < count) {
                packet = {sent, FRAME_BEATS};
                if (chance.one_in(damage_every)) {      // too short, or too long
                    int beats = 1 + int(chance.below(FRAME_BEATS + 3));
                    packet = {-1, beats == FRAME_BEATS ? beats + 1 : beats};
                }
                sending = true;
                beat = 0;
            }
            if (sending && !valid && !chance.pauses()) {
                valid = true;
                put_beat(rows, packet, beat);
            }
            bool ready = !chance.pauses();
            model.p_s__axis__tvalid.set<bool>(valid);
            model.p_m__axis__tready.set<bool>(ready);
            model.step();
            bool answer = model.p_m__axis__tvalid.get<bool>();
            bool same = before == model.p_m__axis__tdata.data[0] && user == model.p_m__axis__tuser.get<bool>();
            if (shown && !(answer && same)) throw Fault("m_axis changed before it was taken");
            if (answer && !model.p_m__axis__tlast.get<bool>()) throw Fault("an answer without m_axis_tlast");
            shown = answer && !ready;
            before = model.p_m__axis__tdata.data[0];
            user = model.p_m__axis__tuser.get<bool>();
            if (valid && model.p_s__axis__tready.get<bool>()) {
                valid = false;
                if (++beat == packet.beats) {
                    if (!early) waiting.push_back(packet);
                    sending = early = false;
                    if (packet.row < 0) damaged++; else sent++;
                }
            }
            if (answer && ready) fetched += take(packet, sending, actions);
            clock();
        }
        return fetched;
    }

    // A packet that is too long may be answered before its end: its length is known to be wrong by then.
    int64_t take(const Packet &current, bool sending, int32_t *actions) {
        Packet packet;
        if (!waiting.empty()) {
            packet = waiting.front();
            waiting.pop_front();
        } else if (sending && current.row < 0) {
            if (early) throw Fault("two answers to one packet");
            early = true;
            packet = current;
        } else throw Fault("an answer that nobody asked for");
        if (model.p_m__axis__tuser.get<bool>() != (packet.row < 0))
            throw Fault("m_axis_tuser does not tell whether the packet had the right length");
        if (packet.row < 0) return 0;
        for (int i = 0; i < ACTIONS; i++)
            actions[packet.row * ACTIONS + i] = get(model.p_m__axis__tdata, i * ACTION_LANE, ACTION_LANE);
        return 1;
    }

    void put_beat(const int16_t *rows, const Packet &packet, int beat) {
        for (auto &chunk : model.p_s__axis__tdata.data) chunk = uint32_t(chance.source());
        model.p_s__axis__tdata.data[model.p_s__axis__tdata.chunks - 1] &= model.p_s__axis__tdata.msb_mask;
        if (packet.row >= 0)
            for (int lane = 0; lane < LANES; lane++) {
                int place = beat % BEATS * LANES + lane, feature = beat / BEATS * WORD_FEATURES + place;
                if (place < WORD_FEATURES && feature < FEATURES)
                    put(model.p_s__axis__tdata, lane * LANE_BITS, LANE_BITS, uint64_t(rows[packet.row * FEATURES + feature]));
            }
        model.p_s__axis__tlast.set<bool>(beat == packet.beats - 1);
    }
};

}  // namespace
#else
namespace {

struct Bench : Base {
    void clock() {
#ifdef BUS_AXIL
        edge(model.p_s__axi__aclk);
#else
        edge(model.p_clk__i);
#endif
    }
    void reset();
    uint32_t read(uint32_t address);
    void write(uint32_t address, uint32_t data);
    int64_t run(const int16_t *rows, int64_t count, int32_t *actions, int64_t reset_every, int64_t damage_every);
};

#ifdef BUS_AXIL
void Bench::reset() {
    model.p_s__axi__aresetn.set<bool>(false);
    for (int i = 0; i < 3; i++) {
        clock();
        if (model.p_s__axi__bvalid.get<bool>() || model.p_s__axi__rvalid.get<bool>())
            throw Fault("BVALID or RVALID is 1 during a reset");
    }
    model.p_s__axi__aresetn.set<bool>(true);
    resets++;
}

uint32_t Bench::read(uint32_t address) {
    bool asking = true, offered = false, shown = false;
    uint32_t before = 0;
    model.p_s__axi__araddr.set<uint32_t>(address);
    for (;;) {
        if (asking && !offered) offered = !chance.pauses();
        bool ready = !chance.pauses();
        model.p_s__axi__arvalid.set<bool>(asking && offered);
        model.p_s__axi__rready.set<bool>(ready);
        model.step();
        bool valid = model.p_s__axi__rvalid.get<bool>();
        if (valid && asking) throw Fault("a read is answered before it was taken");
        uint32_t data = model.p_s__axi__rdata.get<uint32_t>(), response = model.p_s__axi__rresp.get<uint32_t>();
        if (shown && (!valid || data != before)) throw Fault("R changed before it was taken");
        shown = valid && !ready;
        before = data;
        if (asking && offered && model.p_s__axi__arready.get<bool>()) asking = false;
        bool ends = valid && ready;
        clock();
        model.p_s__axi__arvalid.set<bool>(false);
        if (ends) {
            model.p_s__axi__rready.set<bool>(false);
            if (response) throw Fault("SLVERR at the reading of a register");
            return data;
        }
    }
}

void Bench::write(uint32_t address, uint32_t data) {
    bool address_due = true, data_due = true, address_offered = false, data_offered = false, shown = false;
    model.p_s__axi__awaddr.set<uint32_t>(address);
    model.p_s__axi__wdata.set<uint32_t>(data);
    model.p_s__axi__wstrb.set<uint32_t>(15);
    for (;;) {
        if (address_due && !address_offered) address_offered = !chance.pauses();
        if (data_due && !data_offered) data_offered = !chance.pauses();
        bool ready = !chance.pauses();
        model.p_s__axi__awvalid.set<bool>(address_due && address_offered);
        model.p_s__axi__wvalid.set<bool>(data_due && data_offered);
        model.p_s__axi__bready.set<bool>(ready);
        model.step();
        bool valid = model.p_s__axi__bvalid.get<bool>();
        if (valid && (address_due || data_due)) throw Fault("a write is answered before it was taken");
        if (shown && !valid) throw Fault("BVALID fell before it was taken");
        shown = valid && !ready;
        uint32_t response = model.p_s__axi__bresp.get<uint32_t>();
        if (address_due && address_offered && model.p_s__axi__awready.get<bool>()) address_due = false;
        if (data_due && data_offered && model.p_s__axi__wready.get<bool>()) data_due = false;
        clock();
        model.p_s__axi__awvalid.set<bool>(false);
        model.p_s__axi__wvalid.set<bool>(false);
        if (valid && ready) {
            model.p_s__axi__bready.set<bool>(false);
            if (response) throw Fault("SLVERR at the writing of a register");
            return;
        }
    }
}
#else
void Bench::reset() {
    model.p_rst__i.set<bool>(true);
    model.p_cyc__i.set<bool>(false);
    model.p_stb__i.set<bool>(false);
    for (int i = 0; i < 3; i++) clock();
    model.p_rst__i.set<bool>(false);
    resets++;
}

uint32_t cycle(Bench &bench, bool write, uint32_t address, uint32_t data) {
    auto &model = bench.model;
    while (bench.chance.pauses()) bench.clock();
    model.p_cyc__i.set<bool>(true);
    model.p_stb__i.set<bool>(true);
    model.p_we__i.set<bool>(write);
    model.p_adr__i.set<uint32_t>(address / 4);
    model.p_sel__i.set<uint32_t>(15);
    model.p_dat__i.set<uint32_t>(data);
    for (;;) {
        model.step();
        bool ack = model.p_ack__o.get<bool>();
        if (model.p_err__o.get<bool>()) throw Fault("ERR at a register that is there");
        uint32_t content = model.p_dat__o.get<uint32_t>();
        if (ack && bench.chance.one_in(2)) model.p_cyc__i.set<bool>(false);  // or the next one follows at once
        if (ack) model.p_stb__i.set<bool>(false);
        bench.clock();
        if (ack) return content;
    }
}

uint32_t Bench::read(uint32_t address) { return cycle(*this, false, address, 0); }
void Bench::write(uint32_t address, uint32_t data) { cycle(*this, true, address, data); }
#endif

}  // namespace

#define POLICY_READ(base, offset) (((Bench *)(base))->read(offset))
#define POLICY_WRITE(base, offset, value) (((Bench *)(base))->write(offset, value))
#include "policy.h"

namespace {

int64_t Bench::run(const int16_t *rows, int64_t count, int32_t *actions, int64_t reset_every, int64_t damage_every) {
    int64_t sent = 0, fetched = 0;
    if (policy_check(this)) throw Fault("policy_check: another policy's registers");
    while (fetched < count) {
        if (chance.one_in(reset_every)) {       // in the midst of an observation, by the bus or by software
            if (policy_ready(this) && sent < count)
                policy_write_beats(this, rows + sent * FEATURES, 1 + uint32_t(chance.below(POLICY_BEATS)));
            if (chance.one_in(2)) reset(); else { policy_reset(this, 0); resets++; }
            sent = fetched;
        }
        if (chance.one_in(damage_every) && sent < count) {  // whether there is room or not: if not, it is told
            policy_write_beats(this, rows + sent * FEATURES, POLICY_BEATS);
            if (policy_overrun(this)) {
                damaged++;
                policy_clear_overrun(this);
            } else sent++;
        }
        if (sent < count && !chance.pauses() && policy_ready(this))
            policy_write_beats(this, rows + FEATURES * sent++, POLICY_BEATS);
        if (!chance.pauses() && policy_answered(this)) {
            if (fetched == sent) throw Fault("an answer that nobody asked for");
            policy_fetch(this, actions + fetched++ * POLICY_ACTIONS);
        }
    }
    if (policy_answered(this)) throw Fault("one answer more than observations");
    return fetched;
}

}  // namespace
#endif

extern "C" Bench *bench_new(uint64_t seed) {
    Bench *bench = new Bench;
    bench->chance.source.seed(seed);
    bench->limit = 1000;
    bench->model.step();
    try {
        bench->reset();
    } catch (const Fault &) { delete bench; return nullptr; }
    return bench;
}

extern "C" void bench_delete(Bench *bench) { delete bench; }

// Of `count` observations, int16 rows of FEATURES: writes as many rows of ACTIONS integers. Returns 0, or 1 with the
// reason in `message`. counted: clocks, resets, damaged packets (or refused observations).
extern "C" int bench_run(Bench *bench, const int16_t *rows, int64_t count, int32_t *actions, double pause,
                         int64_t reset_every, int64_t damage_every, int64_t limit, int64_t *counted, char *message) {
    bench->clocks = bench->resets = bench->damaged = 0;
    bench->limit = limit;
    bench->chance.pause = pause;
    int status = 0;
    try {
        bench->run(rows, count, actions, reset_every, damage_every);
    } catch (const Fault &fault) {
        snprintf(message, 200, "clock %lld: %s", (long long)bench->clocks, fault.what());
        status = 1;
    }
    counted[0] = bench->clocks;
    counted[1] = bench->resets;
    counted[2] = bench->damaged;
    return status;
}
