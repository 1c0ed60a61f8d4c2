#include "hls4rl_link.h"

#include <string.h>

enum { VERSION = 2, IDENTIFY = 0x01, INFER = 0x02, IDENTITY = 0x81, ACTION = 0x82 };
enum { HEADER = 3, CHECK = 4, IDENTITY_BODY = 25 };

uint32_t hls4rl_crc32(const uint8_t *bytes, size_t count) {
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < count; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (0xedb88320u & (0u - (crc & 1u)));
    }
    return ~crc;
}

static uint64_t number(const uint8_t *bytes, size_t count) {
    uint64_t value = 0;
    while (count--) value = (value << 8) | bytes[count];
    return value;
}

/* COBS; returns the bytes written, the delimiter included. */
static size_t encode(const uint8_t *data, size_t count, uint8_t *out) {
    size_t code = 0, next = 1;
    for (size_t i = 0; i < count; i++) {
        if (data[i]) out[next++] = data[i];
        if (!data[i] || next - code == 0xff) {
            out[code] = (uint8_t)(next - code);
            code = next++;
            if (data[i] && i + 1 == count) { /* a full last group needs no other */
                out[code] = 0;
                return code + 1;
            }
        }
    }
    out[code] = (uint8_t)(next - code);
    out[next] = 0;
    return next + 1;
}

/* Undoes COBS in place (the delimiter is gone already); returns the bytes, or 0 if the frame is damaged. */
static size_t decode(uint8_t *frame, size_t count) {
    size_t from = 0, to = 0;
    while (from < count) {
        uint8_t code = frame[from++];
        if (!code || count - from < (size_t)code - 1) return 0;
        memmove(frame + to, frame + from, (size_t)code - 1);
        to += (size_t)code - 1;
        from += (size_t)code - 1;
        if (code != 0xff && from < count) frame[to++] = 0;
    }
    return to;
}

/* Milliseconds that the call may still take. */
static uint32_t remaining(hls4rl_link *link) {
    uint32_t passed = link->clock_ms(link->port) - link->began_ms;
    return passed < link->patience_ms ? link->patience_ms - passed : 0;
}

static uint32_t wait_ms(hls4rl_link *link) {
    uint32_t left = remaining(link);
    return left < link->silence_ms ? left : link->silence_ms;
}

/* Width of an action, all its integers together; 0 if it's out of range. */
static uint16_t action_bits(const hls4rl_link *link) {
    uint16_t bits = 0;
    if (!link->dimensions || !link->action_widths) return 0;
    for (uint8_t place = 0; place < link->dimensions; place++) {
        if (!link->action_widths[place] || link->action_widths[place] > 32) return 0;
        bits = (uint16_t)(bits + link->action_widths[place]);
    }
    return bits <= 256 ? bits : 0;
}

static hls4rl_status begin(hls4rl_link *link) {
    if (!link->write || !link->read || !link->clock_ms || !link->silence_ms || !link->attempts || !link->patience_ms ||
        link->patience_ms >> 31 || !link->features || !link->bits || link->bits > 32 ||
        !action_bits(link))
        return HLS4RL_SETUP;
    link->began_ms = link->clock_ms(link->port);
    link->surplus_before = link->surplus;
    link->heard = 0;
    return HLS4RL_OK;
}

/* Why no answer came since the call began. */
static hls4rl_status cause(const hls4rl_link *link) {
    if (link->surplus != link->surplus_before) return HLS4RL_UNASKED;
    return link->heard ? HLS4RL_GARBAGE : HLS4RL_SILENT;
}

static hls4rl_status send(hls4rl_link *link, uint8_t *payload, size_t count) {
    uint8_t out[HLS4RL_FRAME_BYTES];
    uint32_t crc = hls4rl_crc32(payload, count);
    for (int i = 0; i < CHECK; i++) payload[count + (size_t)i] = (uint8_t)(crc >> (8 * i));
    count = encode(payload, count + CHECK, out);
    return link->write(link->port, out, count, remaining(link)) < 0 ? HLS4RL_PORT : HLS4RL_OK;
}

static size_t header(hls4rl_link *link, uint8_t kind, uint8_t *payload) {
    link->sequence++;
    payload[0] = kind;
    payload[1] = (uint8_t)link->sequence;
    payload[2] = (uint8_t)(link->sequence >> 8);
    return HEADER;
}

/* Whether the frame that ended is the answer to the last request; others are counted. */
static int is_answer(hls4rl_link *link, uint8_t kind, size_t body) {
    size_t count = decode(link->frame, link->length);
    link->length = 0;
    if (count < HEADER + CHECK ||
        hls4rl_crc32(link->frame, count - CHECK) != number(link->frame + count - CHECK, CHECK)) {
        link->damaged++;
        return 0;
    }
    if (link->frame[0] == kind && number(link->frame + 1, 2) == link->sequence && count == HEADER + body + CHECK)
        return 1;
    link->surplus++;
    return 0;
}

/* Waits for the answer to the last request; its body is left at link->frame + HEADER. Without one: HLS4RL_SILENT. */
static hls4rl_status await(hls4rl_link *link, uint8_t kind, size_t body) {
    for (uint32_t count = 0; count < HLS4RL_WAIT_BYTES; count++) {
        uint8_t byte;
        int got = link->read(link->port, &byte, 1, wait_ms(link));
        if (got < 0) return HLS4RL_PORT;
        if (got == 0) break;
        link->heard = 1;
        if (byte) { /* what is too long is cut, and fails the checks */
            if (link->length < sizeof link->frame) link->frame[link->length++] = byte;
        } else if (link->length && is_answer(link, kind, body)) {
            return HLS4RL_OK;
        }
        if (!remaining(link)) break;
    }
    return HLS4RL_SILENT;
}

/* As hls4rl_identify, within the time of the call that began. */
static hls4rl_status identify(hls4rl_link *link, hls4rl_identity *identity) {
    static const uint8_t delimiter = 0;
    uint8_t payload[HEADER + CHECK];
    hls4rl_identity found;
    hls4rl_status status = HLS4RL_SILENT;
    for (uint32_t attempt = 0; attempt < link->attempts && status != HLS4RL_OK; attempt++) {
        if (attempt && !remaining(link)) break;
        link->length = 0;
        if (link->write(link->port, &delimiter, 1, remaining(link)) < 0) return HLS4RL_PORT;
        if (send(link, payload, header(link, IDENTIFY, payload))) return HLS4RL_PORT;
        status = await(link, IDENTITY, IDENTITY_BODY);
        if (status == HLS4RL_PORT) return status;
    }
    if (status) return cause(link);
    const uint8_t *body = link->frame + HEADER;
    found.version = body[0];
    found.features = (uint16_t)number(body + 1, 2);
    found.bits = body[3];
    found.action_bits = (uint16_t)(body[4] + 1);
    found.policy_hash = number(body + 5, 8);
    found.shortest_cycles = (uint16_t)number(body + 13, 2);
    found.longest_cycles = (uint16_t)number(body + 15, 2);
    found.accepted = (uint32_t)number(body + 17, 4);
    found.damaged = (uint16_t)number(body + 21, 2);
    found.dropped = (uint16_t)number(body + 23, 2);
    if (identity) *identity = found;
    if (found.version != VERSION || found.policy_hash != link->policy_hash || found.features != link->features ||
        found.bits != link->bits || found.action_bits != action_bits(link))
        return HLS4RL_WRONG_POLICY;
    return HLS4RL_OK;
}

hls4rl_status hls4rl_identify(hls4rl_link *link, hls4rl_identity *identity) {
    hls4rl_status status = begin(link);
    return status ? status : identify(link, identity);
}

/* The integers of an answer, whose bits lie side by side. */
static hls4rl_status unpack(const hls4rl_link *link, const uint8_t *packed, int32_t *action) {
    size_t place = 0;
    for (uint8_t dimension = 0; dimension < link->dimensions; dimension++) {
        uint8_t width = link->action_widths[dimension];
        uint32_t value = 0;
        for (uint8_t bit = 0; bit < width; bit++, place++)
            value |= (((uint32_t)packed[place / 8] >> (place % 8)) & 1u) << bit;
        if (link->choices && value >= link->choices[dimension]) return HLS4RL_BAD_ACTION;
        if (link->action_signed && width < 32 && value >> (width - 1)) value |= ~0u << width;
        action[dimension] = (int32_t)value;
    }
    for (; place % 8; place++)
        if (((uint32_t)packed[place / 8] >> (place % 8)) & 1u) return HLS4RL_BAD_ACTION;
    return HLS4RL_OK;
}

hls4rl_status hls4rl_infer(hls4rl_link *link, const int32_t *observation, int32_t *action) {
    uint8_t payload[HLS4RL_PAYLOAD_BYTES];
    size_t bytes = ((size_t)link->features * link->bits + 7) / 8;
    hls4rl_status status = begin(link);
    int known = 0; /* the board has said who it is in this call */
    if (status) return status;
    if (bytes > HLS4RL_OBSERVATION_BYTES) return HLS4RL_TOO_LARGE;
    for (uint32_t attempt = 0; attempt < link->attempts; attempt++) {
        uint8_t *packed = payload + header(link, INFER, payload);
        size_t place = 0;
        memset(packed, 0, bytes);
        for (size_t feature = 0; feature < link->features; feature++)
            for (uint8_t bit = 0; bit < link->bits; bit++, place++)
                packed[place / 8] |= (uint8_t)((((uint32_t)observation[feature] >> bit) & 1u) << (place % 8));
        if (send(link, payload, HEADER + bytes)) return HLS4RL_PORT;
        status = await(link, ACTION, (action_bits(link) + 7u) / 8u);
        if (status == HLS4RL_OK) return unpack(link, link->frame + HEADER, action);
        if (status == HLS4RL_PORT) return status;
        if (!remaining(link)) break;
        link->retries++;
        status = identify(link, NULL); /* another board may have been plugged in */
        if (status == HLS4RL_PORT || status == HLS4RL_WRONG_POLICY) return status;
        if (status) break;
        known = 1;
    }
    return known ? HLS4RL_UNANSWERED : cause(link);
}
