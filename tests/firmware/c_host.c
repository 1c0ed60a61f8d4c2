/* Asks a board for the actions of the observations on standard input:
 * c_host PORT POLICY_HASH FEATURES BITS CHOICES|-WIDTH:DIMENSIONS [PATIENCE_MS [SILENCE_MS]] */
#include "hls4rl_link.h"

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static uint32_t clock_ms(void *port) {
    struct timespec now;
    (void)port;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint32_t)((uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u);
}

static int ready(void *port, short event, uint32_t wait_ms) {
    struct pollfd wait = {*(int *)port, event, 0};
    return poll(&wait, 1, (int)wait_ms);
}

static int write_port(void *port, const uint8_t *bytes, size_t count, uint32_t wait_ms) {
    uint32_t began = clock_ms(port);
    while (count) {
        uint32_t passed = clock_ms(port) - began;
        if (ready(port, POLLOUT, passed < wait_ms ? wait_ms - passed : 0) <= 0) return -1;
        ssize_t done = write(*(int *)port, bytes, count);
        if (done < 0) return -1;
        bytes += done;
        count -= (size_t)done;
    }
    return 0;
}

static int read_port(void *port, uint8_t *bytes, size_t capacity, uint32_t wait_ms) {
    int found = ready(port, POLLIN, wait_ms);
    if (found <= 0) return found;
    ssize_t count = read(*(int *)port, bytes, capacity);
    return count > 0 ? (int)count : -1; /* ready, and nothing to read: the port is gone */
}

int main(int count, char **arguments) {
    int port = count >= 6 ? open(arguments[1], O_RDWR | O_NOCTTY | O_NONBLOCK) : -1;
    if (port < 0) return 100;
    hls4rl_link link = {.write = write_port, .read = read_port, .clock_ms = clock_ms, .port = &port};
    link.policy_hash = strtoull(arguments[2], NULL, 16);
    link.features = (uint16_t)atoi(arguments[3]);
    link.bits = (uint8_t)atoi(arguments[4]);
    uint8_t widths[32];
    uint32_t choices = (uint32_t)atoi(arguments[5]);
    const char *dimensions = strchr(arguments[5], ':');
    link.action_widths = widths;
    link.dimensions = 1;
    if (dimensions) { /* continuous */
        link.action_signed = 1;
        link.dimensions = (uint8_t)atoi(dimensions + 1);
        memset(widths, -atoi(arguments[5]), sizeof widths);
    } else {
        link.choices = &choices;
        widths[0] = 1;
        while (choices > 1u << widths[0]) widths[0]++;
    }
    link.patience_ms = count > 6 ? (uint32_t)atoi(arguments[6]) : 10000;
    link.silence_ms = count > 7 ? (uint32_t)atoi(arguments[7]) : 100;
    link.attempts = 100;
    hls4rl_identity identity;
    uint32_t began = clock_ms(&port);
    hls4rl_status status = hls4rl_identify(&link, &identity);
    printf("crc %08" PRIx32 "\n", hls4rl_crc32((const uint8_t *)"123456789", 9));
    printf("status %d after %" PRIu32 " ms\n", status, clock_ms(&port) - began);
    if (status) return 0;
    for (;;) {
        int32_t observation[64];
        int32_t action[32];
        for (int i = 0; i < link.features; i++)
            if (scanf("%" SCNd32, &observation[i]) != 1) {
                hls4rl_identify(&link, &identity);
                printf("cycles %d retries %" PRIu32 "\n", identity.longest_cycles, link.retries);
                return 0;
            }
        began = clock_ms(&port);
        if ((status = hls4rl_infer(&link, observation, action))) {
            printf("status %d after %" PRIu32 " ms\n", status, clock_ms(&port) - began);
            return 0;
        }
        for (uint8_t place = 0; place < link.dimensions; place++) printf(place ? " %" PRId32 : "%" PRId32, action[place]);
        printf("\n");
    }
}
