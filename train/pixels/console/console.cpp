// Atari's 2600 as far as Pong needs it: the 6507's program compiled in, the chips around it (chips.hpp), and the game.
//
// Time is counted in the processor's cycles from the start of the picture's first line; a line has 76 cycles, 228
// clocks of TIA's, 68 of them before its first pixel.

#include "chips.hpp"

namespace {

#define ADD(other) do { uint8_t add = (other); int sum = a + add + c; v = (~(a ^ add) & (a ^ sum)) >> 7 & 1; \
    c = sum >> 8; a = n = z = sum; } while (0)
#define COMPARE(reg, other) do { int rest = (reg) - (other); c = rest >= 0; n = z = rest; } while (0)
#define STATUS (uint8_t((n & 0x80) | v << 6 | 0x20 | b << 4 | i << 2 | (z ? 0 : 2) | c))
#define RESTORE(from) do { uint8_t was = (from); n = was; v = was >> 6 & 1; b = was >> 4 & 1; i = was >> 2 & 1; \
    z = ~was & 2; c = was & 1; if (was & 8) refuse("counts in decimals", pc); } while (0)
#define PUSH(value) do { uint8_t put = (value); \
    if (sp & 0x80) m.ram[sp & 127] = put; else t = m.push_tia(sp, put, t); sp--; } while (0)
#define PULL (sp++, m.peek(0x100 + uint8_t(sp), 0, t))
#define STOP(next) do { if (m.stopped) { pc = next; goto leave; } } while (0)
#define REFUSE(place) do { m.refuse("is at an instruction that was not foreseen", place); goto leave; } while (0)

void Console::run() {
    Console& m = *this;
    uint8_t a = m.a, x = m.x, y = m.y, sp = m.sp, n = m.n, z = m.z, c = m.c, v = m.v, i = m.i, b = m.b;
    uint16_t pc = m.pc;
    int t = m.t;
#include "program.inc"
leave:
    m.a = a; m.x = x; m.y = y; m.sp = sp; m.n = n; m.z = z; m.c = c; m.v = v; m.i = i; m.b = b;
    m.pc = pc;
    m.t = t;
}

void turn(Console& m, int steps) {
    m.ohm = std::clamp(m.ohm + steps * PADDLE_STEP, PADDLE_LEAST, PADDLE_MOST);
    m.charging[1] = int(1.6 * m.ohm * 0.01e-6 * 1.19e6);
}

void picture(Console& m) {
    m.stopped = false;
    m.drawn = TOP * CLOCKS;
    m.line_over = false;
    m.run();
    if (m.t / LINE > LONGEST) m.refuse("shows a picture of too many lines", m.t / LINE);
    if (m.lighting && m.drawn < (TOP + HEIGHT) * CLOCKS) m.refuse("shows a picture of too few lines", m.t / LINE);
    int gone = m.t / LINE * LINE;
    m.t -= gone; m.timer_set -= gone; m.dump_end -= gone; m.last_hmove -= gone;
    if (m.vsync_end != INT32_MAX) m.vsync_end -= 3 * gone;
}

// The game of Pong ----------------------------------------------------------------------------------------------------

enum { CPU_POINTS = 13, POINTS = 14, LAST_POINT = 21, MOST_PICTURES = 108000 };

uint64_t every_second(uint64_t bits) {  // the even ones of 64 bits, side by side
    bits &= 0x5555555555555555;
    bits = (bits | bits >> 1) & 0x3333333333333333;
    bits = (bits | bits >> 2) & 0x0f0f0f0f0f0f0f0f;
    bits = (bits | bits >> 4) & 0x00ff00ff00ff00ff;
    bits = (bits | bits >> 8) & 0x0000ffff0000ffff;
    return (bits | bits >> 16) & 0x00000000ffffffff;
}

// Write the field's pixels that are not as they were, and what became of them, in their order; answers how many.
int64_t difference(Console& m, int16_t* places, int8_t* values) {
    int64_t count = 0;
    for (int row = 0; row < FIELD_ROWS; row++) {
        const Pixels& now = m.lit[FIELD_TOP + 2 * row];
        uint64_t first = every_second(now.words[0]) | every_second(now.words[1]) << 32;
        uint64_t halves[2] = {first, every_second(now.words[2])};
        for (int half = 0; half < 2; half++) {
            for (uint64_t left = halves[half] ^ m.before[row][half]; left; left &= left - 1) {
                int bit = __builtin_ctzll(left);
                places[count] = 80 * row + 64 * half + bit;
                values[count++] = halves[half] >> bit & 1 ? 1 : -1;
            }
            m.before[row][half] = halves[half];
        }
    }
    return count;
}

void look(Console& m) {  // as it is now, so it was
    int16_t places[FIELD_ROWS * 80];
    int8_t values[FIELD_ROWS * 80];
    difference(m, places, values);
}

void power_on(Console& m) {
    memset(&m, 0, offsetof(Console, lit));
    m.sp = 0xff;
    m.z = 1;
    m.pc = ROM[0x7fc] | ROM[0x7fd] << 8;
    m.vsync_end = INT32_MAX;
    m.last_hmove = -1000;
    m.ohm = (PADDLE_LEAST + PADDLE_MOST) / 2;
    turn(m, 0);
    m.charging[0] = m.charging[1];
    // As ALE starts a game: a second without an action, and the switch "reset" held for twelve pictures.
    m.switches = 0x3f;
    for (int done = 0; done < 60; done++) picture(m);
    m.switches = 0x3e;
    for (int done = 0; done < 12; done++) {
        m.lighting = done == 11;
        picture(m);
    }
    m.switches = 0x3f;
    look(m);
}

// One picture; `shown`: its pixels are wanted.
int play(Console& m, int steps, bool shown) {
    turn(m, steps);
    m.lighting = shown || m.painting || m.ram[CPU_POINTS] == LAST_POINT - 1 || m.ram[POINTS] == LAST_POINT - 1;
    picture(m);
    int score = m.ram[POINTS] - m.ram[CPU_POINTS], reward = score - m.score;
    m.score = score;
    if (m.ram[CPU_POINTS] == LAST_POINT || m.ram[POINTS] == LAST_POINT) m.over = 1;
    else if (++m.pictures >= MOST_PICTURES) m.over = 2;
    return reward;
}

}  // namespace

extern "C" {

int64_t console_bytes() { return sizeof(Console); }
int64_t console_state_bytes() { return offsetof(Console, lit); }  // which come first, and are all that lasts
const char* console_refusal(const Console* m) { return m->refusal; }
const uint8_t* console_ram(const Console* m) { return m->ram; }
const uint8_t* console_screen(const Console* m) { return m->screen; }
void console_paint(Console* m) { m->painting = true; }  // from now on, until it starts anew

// A new game, and so many pictures of it without an action.
void console_start(Console* m, int64_t idle) {
    static const Console* fresh = [] {
        auto* made = new Console();
        power_on(*made);
        return made;
    }();
    bool painting = m->painting;
    memcpy(m, fresh, offsetof(Console, lit));
    m->painting = painting;
    for (int64_t done = 0; done < idle; done++) play(*m, 0, done == idle - 1);
    if (idle) look(*m);
}

// A step of each of `games`: pictures[g] pictures with the paddle turned by turns[g][...] steps, at most MOST_SKIP.
// starts, shape (games + 1,), says where each one's pixels lie in `places` and `values`; over: 1 ended, 2 cut off.
void console_step(Console* const* games, int64_t count, const int8_t* turns, const int64_t* pictures, int16_t* places,
                  int8_t* values, int64_t* starts, double* rewards, int8_t* over) {
    starts[0] = 0;
    for (int64_t game = 0; game < count; game++) {
        Console& m = *games[game];
        int reward = 0;
        for (int64_t done = 0; done < pictures[game] && !m.over; done++)
            reward += play(m, turns[game * MOST_SKIP + done], done == pictures[game] - 1);
        rewards[game] = reward;
        over[game] = m.over;
        starts[game + 1] = starts[game] + difference(m, places + starts[game], values + starts[game]);
    }
}

}
