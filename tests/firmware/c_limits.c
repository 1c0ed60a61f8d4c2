/* The C driver on ports that are functions: what it does without a board, a clock or an end of bytes. */
#include "hls4rl_link.h"

#include <stdio.h>

static uint32_t now, step, reads;
static int byte_read;

static uint32_t clock_ms(void *port) {
    (void)port;
    return now += step;
}

static int write_port(void *port, const uint8_t *bytes, size_t count, uint32_t wait_ms) {
    (void)port, (void)bytes, (void)count, (void)wait_ms;
    return 0;
}

static int read_port(void *port, uint8_t *bytes, size_t capacity, uint32_t wait_ms) {
    (void)port, (void)capacity, (void)wait_ms;
    reads++;
    if (byte_read < 0) return 0;
    bytes[0] = (uint8_t)byte_read;
    return 1;
}

static const uint8_t widths[] = {2}, wide[] = {33}, many[] = {32, 32, 32, 32, 32, 32, 32, 32, 32};
static const uint32_t choices[] = {3};

static hls4rl_link good(void) {
    hls4rl_link link = {.write = write_port, .read = read_port, .clock_ms = clock_ms, .features = 4, .bits = 6,
                        .dimensions = 1, .action_widths = widths, .choices = choices, .silence_ms = 10, .patience_ms = 100, .attempts = 5};
    return link;
}

static void show(const char *name, hls4rl_link link) {
    static const int32_t observation[64];
    int32_t action = 77;
    reads = 0;
    hls4rl_status identified = hls4rl_identify(&link, NULL), inferred = hls4rl_infer(&link, observation, &action);
    printf("%s %d %d %u %u\n", name, identified, inferred, (unsigned)reads, (unsigned)action);
}

int main(void) {
    hls4rl_link link = good();
#define WITHOUT(field, value) link = good(), link.field = value, show(#field, link)
    WITHOUT(write, NULL);
    WITHOUT(read, NULL);
    WITHOUT(clock_ms, NULL);
    WITHOUT(features, 0);
    WITHOUT(bits, 0);
    WITHOUT(bits, 33);
    WITHOUT(dimensions, 0);
    WITHOUT(action_widths, NULL);
    WITHOUT(action_widths, wide);
    link = good(), link.dimensions = 9, link.action_widths = many, show("many", link);
    WITHOUT(silence_ms, 0);
    WITHOUT(patience_ms, 0);
    WITHOUT(patience_ms, 0x80000000u);
    WITHOUT(attempts, 0);
    link = good(), link.features = 65, link.bits = 8, byte_read = -1, show("large", link);
    for (byte_read = -1; byte_read < 2; byte_read++) { /* silence, zeros, bytes that are not zero */
        step = 0, show("frozen", good());
        step = 1, now = 0xfffffff0u, show("wrapping", good());
    }
    return 0;
}
