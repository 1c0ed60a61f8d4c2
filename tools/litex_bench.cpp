// The environment's side of tools/litex_soc.py: a line of features on stdin, the processor's action on stdout.
#include "Vsystem.h"
#include "verilated.h"

#include <cstdint>
#include <cstdio>

int main() {
    const long limit = 1000000;                 // clocks for an answer
    Vsystem *system = new Vsystem;
    long total = 0;
    auto clock = [&] {
        system->sys_clk = 1;
        system->eval();
        system->sys_clk = 0;
        system->eval();
        total++;
    };
    system->sys_rst = 1;
    for (int i = 0; i < 10; i++) clock();
    system->sys_rst = 0;
    int features = FEATURES, value;
    for (uint32_t asked = 1;; asked++) {
        uint32_t words[(FEATURES + 1) / 2] = {};
        for (int i = 0; i < features; i++) {
            if (std::scanf("%d", &value) != 1) return 0;
            words[i / 2] |= uint32_t(value & 0xffff) << (i % 2 * 16);
        }
        for (int i = 0; i < (features + 1) / 2; i++) OBSERVATION(system->mailbox_observation, i, words[i]);
        system->mailbox_asked = asked;
        for (long left = limit; system->mailbox_answered != asked; left--) {
            if (left == 0) return 1;
            clock();
        }
        if (system->mailbox_fault) return 2 + system->mailbox_fault;
        std::printf("%d %ld\n", int(int32_t(system->mailbox_action)), total);
        std::fflush(stdout);
    }
}
