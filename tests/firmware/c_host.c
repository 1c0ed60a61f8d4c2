/* Asks a board for the actions of the observations on standard input: c_host PORT POLICY_HASH FEATURES BITS ACTIONS */
#include "hls4rl_link.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int write_port(void *port, const uint8_t *bytes, size_t count) {
    while (count) {
        ssize_t done = write(*(int *)port, bytes, count);
        if (done < 0) return -1;
        bytes += done;
        count -= (size_t)done;
    }
    return 0;
}

static int read_port(void *port, uint8_t *bytes, size_t capacity, uint32_t silence_ms) {
    struct pollfd wait = {*(int *)port, POLLIN, 0};
    int ready = poll(&wait, 1, (int)silence_ms);
    return ready <= 0 ? ready : (int)read(*(int *)port, bytes, capacity);
}

int main(int count, char **arguments) {
    int port = count == 6 ? open(arguments[1], O_RDWR | O_NOCTTY) : -1;
    if (port < 0) return 100;
    hls4rl_link link = {.write = write_port, .read = read_port, .port = &port, .silence_ms = 100, .attempts = 100};
    link.policy_hash = strtoull(arguments[2], NULL, 16);
    link.features = (uint16_t)atoi(arguments[3]);
    link.bits = (uint8_t)atoi(arguments[4]);
    link.actions = (uint16_t)atoi(arguments[5]);
    hls4rl_identity identity;
    hls4rl_status status = hls4rl_identify(&link, &identity);
    printf("crc %08" PRIx32 "\n", hls4rl_crc32((const uint8_t *)"123456789", 9));
    printf("status %d\n", status);
    if (status) return 0;
    for (;;) {
        int32_t observation[64];
        uint8_t action;
        for (int i = 0; i < link.features; i++)
            if (scanf("%" SCNd32, &observation[i]) != 1) {
                hls4rl_identify(&link, &identity);
                printf("cycles %d retries %" PRIu32 "\n", identity.longest_cycles, link.retries);
                return 0;
            }
        if ((status = hls4rl_infer(&link, observation, &action))) return -status;
        printf("%d\n", action);
    }
}
