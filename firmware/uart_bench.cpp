// The simulated board's pins: feeds bytes to `rx` and collects bytes from `tx`, clock by clock.
// Compiled with the CXXRTL model of the module `board`; the placeholder of the next line is filled in before.
#include "model.cc"

#include <cstdint>
#include <deque>

namespace {

constexpr int64_t clocks_per_bit = @CLOCKS_PER_BIT@;
constexpr int frame_bits = 10;  // start, 8 data, stop

struct Board {
    cxxrtl_design::p_board model;
    std::deque<uint8_t> waiting;    // bytes on their way to `rx`
    uint32_t sending = 0;           // bits still to be put on `rx`, lowest first
    int64_t send_bits = 0, send_clocks = 0;
    uint32_t received = 0;
    int64_t receive_bits = 0, receive_clocks = 0;
    bool receiving = false;

    Board() {  // switched on, with an idle line
        model.p_rx.set<bool>(true);
        for (int i = 0; i < 64; i++) clock();
    }

    bool drive() {  // one clock of `rx`; false if there is nothing to send
        if (send_bits == 0) {
            if (waiting.empty()) return false;
            sending = (uint32_t(waiting.front()) | 0x100u) << 1;
            waiting.pop_front();
            send_bits = frame_bits;
            send_clocks = 0;
        }
        if (send_clocks == 0) {
            model.p_rx.set<bool>(sending & 1);
            sending >>= 1;
        }
        if (++send_clocks == clocks_per_bit) {
            send_clocks = 0;
            send_bits--;
        }
        return true;
    }

    bool collect(uint8_t *byte) {  // one clock of `tx`; true if a byte with a good stop bit is complete
        bool line = model.p_tx.get<bool>();
        if (!receiving) {
            if (!line) {
                receiving = true;
                receive_bits = 0;
                receive_clocks = clocks_per_bit + clocks_per_bit / 2 - 1;  // to the middle of the first data bit
            }
            return false;
        }
        if (--receive_clocks) return false;
        receive_clocks = clocks_per_bit;
        if (receive_bits++ < 8) {
            received = (received >> 1) | (uint32_t(line) << 7);
            return false;
        }
        receiving = false;
        *byte = uint8_t(received);
        return line;
    }

    // Nothing happens at the falling edge, so that nothing is evaluated there: `tx` is what it was before the clock.
    void clock() {
        model.p_clk.set<bool>(true);
        model.step();
        model.p_clk.set<bool>(false);
        model.commit();
    }
};

}  // namespace

extern "C" Board *board_new() { return new Board; }

extern "C" void board_delete(Board *board) { delete board; }

// Queues `count` bytes for `rx`; then runs until `rx` and `tx` have been idle for `idle` clocks, or `limit` clocks
// have passed, or `capacity` bytes have come from `tx`. Returns the clocks run, and in `*collected` the bytes.
extern "C" int64_t board_run(Board *board, const uint8_t *bytes, int64_t count, uint8_t *answers, int64_t capacity,
                             int64_t *collected, int64_t idle, int64_t limit) {
    board->waiting.insert(board->waiting.end(), bytes, bytes + count);
    *collected = 0;
    int64_t quiet = 0, clocks = 0;
    while (clocks < limit && quiet < idle && *collected < capacity) {
        bool busy = board->drive();
        board->clock();
        clocks++;
        if (board->collect(answers + *collected)) ++*collected;
        quiet = busy || board->receiving ? 0 : quiet + 1;
    }
    return clocks;
}

extern "C" int64_t board_waiting(Board *board) { return int64_t(board->waiting.size()); }

// Holds `rx` low for so many clocks: a break, as a cable that is pulled makes it; then high for a byte's time, in
// which a receiver that took the break for a start bit comes into step. Answers in that time are lost.
extern "C" void board_break(Board *board, int64_t clocks) {
    board->model.p_rx.set<bool>(false);
    for (int64_t i = 0; i < clocks; i++) board->clock();
    board->model.p_rx.set<bool>(true);
    for (int64_t i = 0; i < (frame_bits + 2) * clocks_per_bit; i++) board->clock();
}
