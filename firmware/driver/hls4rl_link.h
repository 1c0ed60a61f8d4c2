/* The host's end of the link for a microcontroller, a robot, or any C program: one policy on one board.
 *
 * C99, no allocation, no dependence on an operating system: the caller gives functions that write bytes, read bytes and
 * tell the time. One request is in flight at a time. The protocol is described in firmware/PROTOCOL.md.
 *
 * Whatever the board sends, hls4rl_identify and hls4rl_infer return within `patience_ms`, as long as `write` and `read`
 * keep to the time they are given. Should the clock stand still, they still end: a wait reads HLS4RL_WAIT_BYTES bytes at
 * most, and there are `attempts` requests, with two waits each.
 */
#ifndef HLS4RL_LINK_H
#define HLS4RL_LINK_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef HLS4RL_OBSERVATION_BYTES
#define HLS4RL_OBSERVATION_BYTES 64 /* largest packed observation: features * bits / 8, rounded up */
#endif

#ifndef HLS4RL_WAIT_BYTES
#define HLS4RL_WAIT_BYTES 4096 /* read in wait of one answer, which takes 10 to 41; the rest is late, noise or a flood */
#endif

#define HLS4RL_PAYLOAD_BYTES (3 + (HLS4RL_OBSERVATION_BYTES > 32 ? HLS4RL_OBSERVATION_BYTES : 32) + 4)
#define HLS4RL_FRAME_BYTES (HLS4RL_PAYLOAD_BYTES + HLS4RL_PAYLOAD_BYTES / 254 + 3)

typedef enum {
    HLS4RL_OK = 0,
    HLS4RL_SILENT = -1,       /* nothing came: no power, no bitstream, or another port */
    HLS4RL_WRONG_POLICY = -2, /* the board holds another policy, or speaks another version of the protocol */
    HLS4RL_PORT = -3,         /* write or read reported an error: open the port again, then identify */
    HLS4RL_TOO_LARGE = -4,    /* the observation needs more than HLS4RL_OBSERVATION_BYTES */
    HLS4RL_GARBAGE = -5,      /* bytes came, but not one whole frame: another baud rate, a bad wire, or no board */
    HLS4RL_UNASKED = -6,      /* whole frames came, but none that answers a request of this host */
    HLS4RL_UNANSWERED = -7,   /* the board says who it is, but answers no observation */
    HLS4RL_BAD_ACTION = -8,   /* the board answered an action that the policy doesn't have */
    HLS4RL_SETUP = -9         /* a field that the caller must set isn't set, or is out of its range */
} hls4rl_status;

/* What a board says of itself; see PROTOCOL.md. */
typedef struct {
    uint8_t version;
    uint16_t features;
    uint8_t bits; /* of one feature */
    uint16_t action_bits; /* of one action, all its integers together */
    uint64_t policy_hash;
    uint16_t shortest_cycles, longest_cycles; /* of the core, measured on the chip */
    uint32_t accepted;
    uint16_t damaged, dropped;
} hls4rl_identity;

typedef struct {
    /* To be set by the caller; the rest is zero at first. */
    int (*write)(void *port, const uint8_t *bytes, size_t count, uint32_t wait_ms);   /* 0; negative if the port is */
                                                        /* gone, or did not take all bytes within `wait_ms` */
    int (*read)(void *port, uint8_t *bytes, size_t capacity, uint32_t wait_ms);       /* bytes read; 0 if none came */
                                                        /* within `wait_ms`; negative if the port is gone */
    uint32_t (*clock_ms)(void *port); /* a count of milliseconds that goes on; it may start anywhere and wrap */
    void *port;
    uint16_t features;
    uint8_t bits;     /* 1 to 32 */
    uint8_t dimensions; /* integers of an action: 1 if it is one choice of several */
    const uint8_t *action_widths; /* bits of each; 256 together at most */
    const uint32_t *choices;      /* how many each chooses from; NULL where the action is continuous */
    uint8_t action_signed;        /* 1 where the action is continuous */
    uint64_t policy_hash;
    uint32_t silence_ms;  /* after which an answer counts as lost, for instance 100 */
    uint32_t patience_ms; /* after which a call gives the board up, for instance 3000; below 2^31 */
    uint32_t attempts;    /* times that a request is sent at most */

    /* Counters. */
    uint32_t retries;  /* requests sent again */
    uint32_t damaged;  /* answers that failed a check */
    uint32_t surplus;  /* good answers that nobody waited for */

    /* The driver's own. */
    uint16_t sequence; /* may start anywhere */
    uint32_t began_ms, surplus_before;
    uint8_t heard;
    size_t length;
    uint8_t frame[HLS4RL_FRAME_BYTES];
} hls4rl_link;

/* Asks the board who it is and compares with what the caller expects. Call it first, and after HLS4RL_PORT.
 * `identity` may be NULL. */
hls4rl_status hls4rl_identify(hls4rl_link *link, hls4rl_identity *identity);

/* Asks for the action of one observation: `features` integers in units of the input type, feature 0 first.
 * `action` gets `dimensions` integers: of each choice its number (from 0), or of each continuous dimension an integer of
 * b bits, which stands for (low + high) / 2 + (high - low) / 2 * integer / (2^(b-1) - 1), cut to low ... high. */
hls4rl_status hls4rl_infer(hls4rl_link *link, const int32_t *observation, int32_t *action);

/* CRC-32/ISO-HDLC of `count` bytes. */
uint32_t hls4rl_crc32(const uint8_t *bytes, size_t count);

#ifdef __cplusplus
}
#endif
#endif
