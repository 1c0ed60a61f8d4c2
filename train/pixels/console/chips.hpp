// The chips around the 6507: RIOT, and TIA's picture and collisions.
//
// TIA draws only when something is about to change that can be seen, or is asked for collisions. What is not known to be
// right stops the program with a message (`refuse`).
//
// Sources: S. Wright, "Stella Programmer's Guide", 1979; the moments at which a write shows, and what an object does
// that is placed while it is drawn, are those of Stella 2 as ALE has it, against which all this is compared.

#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>

namespace {

#include "rom.inc"

constexpr int LINE = 76, CLOCKS = 228, BLANK = 68, WIDTH = 160, HEIGHT = 210, TOP = 34, LONGEST = 290;
constexpr int PADDLE_LEAST = 27450, PADDLE_MOST = 790196, PADDLE_STEP = 23000;  // ohm: as ALE turns them
constexpr int FIELD_TOP = 35, FIELD_ROWS = 80, MOST_SKIP = 8;  // the field: every second line and column
enum Object { P0, M0, P1, M1, BL, PF, OBJECTS };

// Bits of TIA's collision registers, by pairs of objects: register * 2, + 1 for bit 6.
constexpr int8_t LATCH[OBJECTS][OBJECTS] = {
    {-1, 1, 14, 2, 5, 4}, {1, -1, 0, 15, 9, 8}, {14, 0, -1, 3, 7, 6}, {2, 15, 3, -1, 11, 10}, {5, 9, 7, 11, -1, 12},
    {4, 8, 6, 10, 12, -1},
};

struct Pixels {  // a set of a line's pixels
    uint64_t words[3];
    Pixels operator&(const Pixels& o) const {
        return {{words[0] & o.words[0], words[1] & o.words[1], words[2] & o.words[2]}};
    }
    bool any() const { return words[0] | words[1] | words[2]; }
    bool meets(const Pixels& other, const Pixels& within) const {
        return (words[0] & other.words[0] & within.words[0]) | (words[1] & other.words[1] & within.words[1]) |
               (words[2] & other.words[2] & within.words[2]);
    }
};

Pixels between(int from, int to) {
    Pixels found{};
    for (int word = 0; word < 3; word++) {
        int low = std::max(from - 64 * word, 0), high = std::min(to - 64 * word, 64);
        if (high > low) found.words[word] = (high == 64 ? ~0ull : (1ull << high) - 1) & ~((1ull << low) - 1);
    }
    return found;
}

int wrapped(int x) { return (x % WIDTH + WIDTH) % WIDTH; }

struct Console {
    char refusal[96];  // why it cannot go on, else empty
    bool stopped, painting, lighting;  // painting: the screen is wanted; lighting: `lit` is

    // 6507
    uint8_t a, x, y, sp, n, z, c, v, i, b;
    uint16_t pc;
    int t;

    // RIOT
    uint8_t ram[128];
    int timer, timer_shift, timer_set;
    uint8_t switches;

    // TIA
    uint8_t vsync, vblank, size[2], colour[4], control, reflected[2], graphics[2], old_graphics[2], enabled[3],
        old_ball, motion[5], delayed[3], locked[2];  // colour: P0, P1, PF, BK; enabled: M0, M1, BL; delayed: P0, P1, BL
    uint32_t field;                        // PF0 to PF2 in the order in which they are shown
    bool mirrored, later_copies[2], comb, line_over;
    int place[5];  // P0, M0, P1, M1, BL
    int vsync_end, drawn, last_hmove, dump_end;
    bool dumping;
    uint16_t collisions;
    int stale;  // bits of the objects whose shapes are to be made anew
    Pixels shape[OBJECTS];
    int ohm, charging[2];  // the resistance of the paddle that is the player's, the second, and cycles that both take

    // The game
    int score, pictures, over;
    uint64_t before[FIELD_ROWS][2];  // the field as it was last seen

    // What is seen; `painting`: the screen too
    Pixels lit[HEIGHT];
    uint8_t screen[HEIGHT * WIDTH];

    void refuse(const char* what, int where) {
        if (!refusal[0]) snprintf(refusal, sizeof refusal, "%s (%04x)", what, where & 0xffff);
        stopped = true;
    }

    // Objects -------------------------------------------------------------------------------------------------------

    static uint32_t reversed(uint32_t value) {
        value = (value & 0x55) << 1 | (value >> 1 & 0x55);
        value = (value & 0x33) << 2 | (value >> 2 & 0x33);
        return (value & 0x0f) << 4 | value >> 4;
    }

    static int copies(int size, int (&offsets)[3]) {
        static const int8_t NEXT[8][3] = {{0}, {0, 16}, {0, 32}, {0, 16, 32}, {0, 64}, {0}, {0, 32, 64}, {0}};
        static const int8_t COUNT[8] = {1, 2, 2, 3, 2, 1, 3, 1};
        for (int copy = 0; copy < 3; copy++) offsets[copy] = NEXT[size & 7][copy];
        return COUNT[size & 7];
    }

    static int stretch(int size) { return (size & 7) == 5 ? 2 : (size & 7) == 7 ? 4 : 1; }

    static void put(Pixels& pixels, uint64_t bits, int x, int width) {  // the lowest bit at x; what is over begins anew
        x = wrapped(x);
        if (x + width > WIDTH) {
            put(pixels, bits >> (WIDTH - x), 0, width - (WIDTH - x));
            bits &= (1ull << (WIDTH - x)) - 1;
        }
        pixels.words[x >> 6] |= bits << (x & 63);
        if (x & 63 && x < 128) pixels.words[(x >> 6) + 1] |= bits >> (64 - (x & 63));
    }

    void shape_player(int player) {
        Pixels found{};
        int offsets[3], count = copies(size[player], offsets), wide = stretch(size[player]);
        uint64_t bits = delayed[player] ? old_graphics[player] : graphics[player], wider = 0;
        if (bits) {
            if (!reflected[player]) bits = reversed(bits);
            for (int bit = 0; bit < 8 && wide > 1; bit++) wider |= (bits >> bit & 1) * ((1 << wide) - 1) << bit * wide;
            for (int copy = later_copies[player]; copy < count; copy++)
                put(found, wide > 1 ? wider : bits, place[2 * player] + offsets[copy] + (wide > 1), 8 * wide);
        }
        shape[2 * player] = found;
    }

    void shape_missile(int player) {
        Pixels found{};
        int offsets[3], count = copies(size[player], offsets), wide = 1 << (size[player] >> 4 & 3);
        for (int copy = 0; copy < count && enabled[player] && !locked[player]; copy++)
            put(found, (1 << wide) - 1, place[2 * player + 1] + offsets[copy], wide);
        shape[2 * player + 1] = found;
    }

    void shape_ball() {
        Pixels found{};
        int wide = 1 << (control >> 4 & 3);
        if (delayed[2] ? old_ball : enabled[2]) put(found, (1 << wide) - 1, place[BL], wide);
        shape[BL] = found;
    }

    void shape_field() {
        uint32_t second = field;  // the right half
        if (mirrored) second = reversed(field) << 12 | reversed(field >> 8) << 4 | reversed(field >> 16) >> 4;
        uint64_t all = field | uint64_t(second) << 20;
        Pixels found{};
        for (int four = 0; four < 10; four++) {  // bits, of four pixels each
            uint64_t bits = all >> 4 * four & 15;
            bits = (bits | bits << 3 | bits << 6 | bits << 9) & 0x1111;
            found.words[four >> 2] |= bits * 15 << 16 * (four & 3);
        }
        shape[PF] = found;
    }

    void changed(int object) { stale |= 1 << object; }

    void renew() {
        if (stale & 1 << P0) shape_player(0);
        if (stale & 1 << P1) shape_player(1);
        if (stale & 1 << M0) shape_missile(0);
        if (stale & 1 << M1) shape_missile(1);
        if (stale & 1 << BL) shape_ball();
        if (stale & 1 << PF) shape_field();
        stale = 0;
    }

    // The picture ---------------------------------------------------------------------------------------------------

    void start_line() {  // what was put off to the end of the line before
        line_over = false;
        if (mirrored != (control & 1)) { mirrored = control & 1; changed(PF); }
        for (int player = 0; player < 2; player++)
            if (later_copies[player]) { later_copies[player] = false; changed(2 * player); }
    }

    // Everything that is seen of a stretch of a line, from behind to the front: put(pixels, colour).
    template <class Put> void layers(int from, int to, Put put) {
        Pixels within = between(from, to);
        if (vblank & 2) return put(within, 0);
        put(within, colour[3]);
        if (control & 4) {  // the playing field is in front
            for (int object : {P1, M1}) put(shape[object] & within, colour[1]);
            for (int object : {P0, M0}) put(shape[object] & within, colour[0]);
            for (int object : {BL, PF}) put(shape[object] & within, colour[2]);
            return;
        }
        bool score = control & 2;  // each half of the playing field in the colour of its player, and as far in front
        Pixels left = shape[PF] & between(from, std::min(to, 80)), right = shape[PF] & between(std::max(from, 80), to);
        put(shape[BL] & within, colour[2]);
        put(right, colour[score ? 1 : 2]);
        if (!score) put(left, colour[2]);
        for (int object : {P1, M1}) put(shape[object] & within, colour[1]);
        if (score) put(left, colour[0]);
        for (int object : {P0, M0}) put(shape[object] & within, colour[0]);
    }

    void paint(int line, int from, int to) {
        uint8_t* pixels = screen + WIDTH * line;
        layers(from, to, [&](const Pixels& where, uint8_t with) {
            for (int word = 0; word < 3; word++)
                for (uint64_t left = where.words[word]; left; left &= left - 1)
                    pixels[64 * word + __builtin_ctzll(left)] = with;
        });
    }

    // Which pixels of a line have another colour than the field while playing, and before (train/pixels/pong.py).
    void light(int line, int from, int to) {
        Pixels& seen = lit[line];
        layers(from, to, [&](const Pixels& where, uint8_t with) {
            bool on = with != 34 && with != 228;
            for (int word = 0; word < 3; word++)
                seen.words[word] = on ? seen.words[word] | where.words[word] : seen.words[word] & ~where.words[word];
        });
    }

    void collide(int from, int to) {
        if (vblank & 2) return;
        Object seen[OBJECTS];
        int count = 0;
        for (int object = 0; object < OBJECTS; object++)
            if (shape[object].any()) seen[count++] = Object(object);
        if (count < 2) return;
        Pixels within = between(from, to);
        for (int one = 0; one < count; one++)
            for (int other = one + 1; other < count; other++)
                if (shape[seen[one]].meets(shape[seen[other]], within))
                    collisions |= 1 << LATCH[seen[one]][seen[other]];
    }

    void span(int line, int from, int to) {
        if (stale) renew();
        collide(from, to);
        if (painting) { paint(line, from, to); light(line, from, to); }
        else if (lighting && (line - FIELD_TOP) % 2 == 0) light(line, from, to);
        if (comb && from < 8) {  // a line that begins with a move of objects has no first eight pixels
            if (painting) memset(screen + WIDTH * line + from, 0, std::min(to, 8) - from);
            lit[line].words[0] |= between(from, std::min(to, 8)).words[0];
            if (to >= 8) comb = false;
        }
    }

    __attribute__((noinline)) void draw_on(int clock) {
        while (drawn < clock) {
            if (line_over) start_line();
            int line = drawn / CLOCKS, end = std::min(clock, (line + 1) * CLOCKS);
            int from = std::max(drawn - line * CLOCKS - BLANK, 0), to = end - line * CLOCKS - BLANK;
            bool steady = from == 0 && to == WIDTH && drawn == line * CLOCKS && !comb;
            if (to > from) span(line - TOP, from, to);
            drawn = end;
            line_over = end == (line + 1) * CLOCKS;
            if (!steady || clock < drawn + CLOCKS || later_copies[0] || later_copies[1] || mirrored != (control & 1))
                continue;
            int same = (clock - drawn - 1) / CLOCKS;  // whole lines like this one
            for (int next = line + 1 - TOP; next <= line + same - TOP && painting; next++)
                memcpy(screen + WIDTH * next, screen + WIDTH * (line - TOP), WIDTH);
            if (lighting) {
                if (!painting) light(line - TOP, from, to);  // which may be a line of those that are left out
                for (int next = line + 1 - TOP; next <= line + same - TOP; next++) lit[next] = lit[line - TOP];
            }
            drawn += same * CLOCKS;
        }
    }

    void draw(int clock) {  // all before `clock`
        clock = std::min(clock, (TOP + HEIGHT) * CLOCKS);
        if (clock > drawn) draw_on(clock);
    }

    // Reading -------------------------------------------------------------------------------------------------------

    __attribute__((noinline)) uint8_t collision(int reg, int noise, int t) {
        draw(3 * t);
        return (collisions >> (2 * reg) & 1) << 7 | (collisions >> (2 * reg + 1) & 1) << 6 | noise;
    }

    uint8_t peek_tia(int reg, int bus, int t) {
        int noise = bus & 63;
        reg &= 15;
        if (reg < 8) return collision(reg, noise, t);
        if (reg == 12 || reg == 13) return 0x80 | noise;  // no joystick's button
        if (reg > 13) return noise;
        if (reg > 9) return 0x80 | noise;  // no second pair of paddles: no resistance
        return !dumping && t - dump_end > charging[reg - 8] ? 0x80 | noise : noise;
    }

    uint8_t peek_riot(int reg, int t) {
        reg &= 7;
        if (reg == 0) return 0xff;  // no paddle's button
        if (reg == 2) return switches;
        if (reg != 4) { refuse("reads a register of RIOT that is not built", reg); return 0; }
        int left = timer - ((t - 1 - timer_set) >> timer_shift) - 1;
        if (left < 0) refuse("reads the timer when it has run out", left);
        return left;
    }

    __attribute__((noinline)) uint8_t peek_device(int address, int bus, int t) {
        return address & 0x80 ? peek_riot(address, t) : peek_tia(address, bus, t);
    }

    uint8_t peek(int address, int bus, int t) {
        if (address & 0x1000) return ROM[address & 0x7ff];
        return (address & 0x280) == 0x80 ? ram[address & 127] : peek_device(address, bus, t);
    }

    // The time at which a loop of so many cycles finds that the timer stands at 0.
    int await_timer(int t, int loop) const {
        int left = timer_set + 1 + ((timer - 1) << timer_shift) - t;
        return left > 0 ? t + (left + loop - 1) / loop * loop : t;
    }

    // Writing -------------------------------------------------------------------------------------------------------

    void poke_riot(int reg, uint8_t value, int t) {
        reg &= 31;
        if ((reg & 0x14) == 0x14) {
            static const int SHIFTS[4] = {0, 3, 6, 10};
            timer = value; timer_shift = SHIFTS[reg & 3]; timer_set = t;
        } else if (reg & 4) refuse("writes a register of RIOT that is not built", reg);
    }

    // Where an object lands that is placed now; a player needs a clock more than the others.
    static int landing(int t, bool player) {
        int clock = 3 * (t % LINE);
        return clock < BLANK ? 2 + player : (clock - BLANK + 4 + player) % WIDTH;
    }

    void place_player(int player, int t) {
        int to = landing(t, true), offsets[3], count = copies(size[player], offsets), shown = 8 * stretch(size[player]);
        bool waits = false, shows = false;
        for (int copy = 0; copy < count; copy++) {
            int after = wrapped(to - place[2 * player] - offsets[copy]);
            waits |= after < 4;
            shows |= after >= 4 && after < 4 + shown;
        }
        if (shows) draw(3 * t + 11);
        place[2 * player] = to;
        later_copies[player] = shows || !waits;  // then only these are seen on this line
        changed(2 * player);
    }

    // How far an object is moved to the right by a move at this cycle of a line: late ones are cut short.
    static int distance(int cycle, int motion) {
        int whole = motion < 8 ? -motion : 16 - motion;
        if (cycle <= 3 || cycle == LINE - 1) return whole;
        if (cycle < 21) return std::max(whole, cycle - 10 - (cycle - 2) / 4);
        int late = std::max(cycle - 54, 0);
        return std::min(0, whole + 7 - late + late / 4);
    }

    void move(int t) {
        if (t % LINE < 21 || t % LINE == LINE - 1) comb = true;
        for (int object = 0; object < 5; object++)
            place[object] = wrapped(place[object] + distance(t % LINE, motion[object] >> 4));
        later_copies[0] = later_copies[1] = false;
        for (int object : {P0, M0, P1, M1, BL}) changed(object);
        last_hmove = t;
    }

    void sync(uint8_t value, int t) {
        vsync = value;
        if (value & 2) vsync_end = 3 * t + CLOCKS;
        else if (3 * t >= vsync_end) { vsync_end = INT32_MAX; stopped = true; }
    }

    void blank(uint8_t value, int t) {
        if (~vblank & value & 0x80) dumping = true;
        if (vblank & ~value & 0x80) { dumping = false; dump_end = t; }
        vblank = value;
    }

    void set_field(uint32_t value) { field = value; changed(PF); }

    // What a write to TIA's register does; one that changes nothing draws nothing.
    template <int REG> int poke_tia(uint8_t value, int t) {
        constexpr int late[4] = {4, 5, 2, 3};
        if constexpr (REG == 0x00) { sync(value, t); }
        else if constexpr (REG == 0x01) { if (value != vblank) { draw(3 * t + 1); blank(value, t); } }
        else if constexpr (REG == 0x02) { return (t + LINE - 1) / LINE * LINE; }
        else if constexpr (REG == 0x04 || REG == 0x05) {
            constexpr int player = REG - 0x04;
            if (value == size[player]) return t;
            draw(3 * t + 8); size[player] = value; later_copies[player] = false;
            changed(2 * player); changed(2 * player + 1);
        } else if constexpr (REG >= 0x06 && REG <= 0x09) {
            if ((value & 0xfe) != colour[REG - 0x06]) { draw(3 * t); colour[REG - 0x06] = value & 0xfe; }
        } else if constexpr (REG == 0x0a) {
            if (value == control && mirrored == (control & 1)) return t;
            draw(3 * t); control = value;
            if (3 * (t % LINE) < BLANK + 79) { mirrored = control & 1; changed(PF); }
            changed(BL);
        } else if constexpr (REG == 0x0b || REG == 0x0c) {
            constexpr int player = REG - 0x0b;
            if ((value & 8) == reflected[player]) return t;
            draw(3 * t + 1); reflected[player] = value & 8; changed(2 * player);
        } else if constexpr (REG == 0x0d) {
            uint32_t next = (field & 0xffff0) | value >> 4;
            if (next != field) { draw(3 * t + late[t % LINE & 3]); set_field(next); }
        } else if constexpr (REG == 0x0e) {
            uint32_t next = (field & 0xff00f) | reversed(value) << 4;
            if (next != field) { draw(3 * t + late[t % LINE & 3]); set_field(next); }
        } else if constexpr (REG == 0x0f) {
            uint32_t next = (field & 0x00fff) | uint32_t(value) << 12;
            if (next != field) { draw(3 * t + late[t % LINE & 3]); set_field(next); }
        } else if constexpr (REG == 0x10 || REG == 0x11) { draw(3 * t); place_player(REG - 0x10, t); }
        else if constexpr (REG == 0x12 || REG == 0x13) {
            constexpr int player = REG - 0x12;
            if (close_to_move(t)) return t;
            draw(3 * t + 8); place[2 * player + 1] = landing(t, false); changed(2 * player + 1);
        } else if constexpr (REG == 0x14) {
            if (close_to_move(t)) return t;
            draw(3 * t); place[BL] = landing(t, false); changed(BL);
        } else if constexpr (REG == 0x1b) {
            if (value == graphics[0] && old_graphics[1] == graphics[1]) return t;
            draw(3 * t + 1); graphics[0] = value; old_graphics[1] = graphics[1]; changed(P0), changed(P1);
        } else if constexpr (REG == 0x1c) {
            if (value == graphics[1] && old_graphics[0] == graphics[0] && old_ball == enabled[2]) return t;
            draw(3 * t + 1); graphics[1] = value; old_graphics[0] = graphics[0]; old_ball = enabled[2];
            changed(P0), changed(P1); changed(BL);
        } else if constexpr (REG == 0x1d || REG == 0x1e) {
            constexpr int player = REG - 0x1d;
            if ((value & 2) != enabled[player]) { draw(3 * t); enabled[player] = value & 2; changed(2 * player + 1); }
        } else if constexpr (REG == 0x1f) {
            if ((value & 2) != enabled[2]) { draw(3 * t); enabled[2] = value & 2; changed(BL); }
        } else if constexpr (REG >= 0x20 && REG <= 0x24) {
            static const int ORDER[5] = {P0, P1, M0, M1, BL};
            motion[ORDER[REG - 0x20]] = value;
        } else if constexpr (REG == 0x25 || REG == 0x26) {
            constexpr int player = REG - 0x25;
            if ((value & 1) != delayed[player]) { draw(3 * t); delayed[player] = value & 1; changed(2 * player); }
        } else if constexpr (REG == 0x27) {
            if ((value & 1) != delayed[2]) { draw(3 * t); delayed[2] = value & 1; changed(BL); }
        } else if constexpr (REG == 0x28 || REG == 0x29) {
            constexpr int player = REG - 0x28;
            if ((value & 2) == locked[player]) return t;
            draw(3 * t);
            if (!(value & 2)) place[2 * player + 1] = wrapped(place[2 * player] + 4 * stretch(size[player]));
            locked[player] = value & 2; changed(2 * player + 1);
        } else if constexpr (REG == 0x2a) { draw(3 * t); move(t); }
        else if constexpr (REG == 0x2b) { memset(motion, 0, sizeof motion); }
        else if constexpr (REG == 0x2c) { draw(3 * t); collisions = 0; }
        return t;
    }

    // Stella moves missiles and ball in ways of their own when they are placed shortly after a move.
    bool close_to_move(int t) {
        bool close = t - last_hmove < 21 && t % LINE < 24 && t >= last_hmove;
        if (close) refuse("places an object just after a move", t % LINE);
        return close;
    }

    __attribute__((noinline)) int poke_any_tia(int reg, uint8_t value, int t) {
        switch (reg & 63) {
#define REGISTER(number) case number: return poke_tia<number>(value, t);
#define EIGHT(from) REGISTER(from) REGISTER(from + 1) REGISTER(from + 2) REGISTER(from + 3) REGISTER(from + 4) \
    REGISTER(from + 5) REGISTER(from + 6) REGISTER(from + 7)
            EIGHT(0) EIGHT(8) EIGHT(16) EIGHT(24) EIGHT(32) EIGHT(40)
            default: return t;
        }
    }

    int push_tia(int reg, uint8_t value, int t) {  // flags are pushed there to switch missiles and ball
        reg &= 63;
        if (reg >= 0x1d && reg <= 0x1f && (value & 2) == enabled[reg - 0x1d]) return t;
        return poke_any_tia(reg, value, t);
    }

    int poke(int address, uint8_t value, int t) {  // answers the time after it
        if ((address & 0x1280) == 0x80) ram[address & 127] = value;
        else if (!(address & 0x1080)) return poke_any_tia(address, value, t);
        else if (!(address & 0x1000)) poke_riot(address, value, t);
        return t;
    }

    void run();
};

}  // namespace
