// One call runs a batch of the hls4ml project's C++ on integers: no text, no floats, no Python per row.
//
// Compiled as a single unit together with the project's top function, so that the weights' directory can be
// given at run time and the library keeps working when its project is moved.
#include <cstdint>
#include <string>

static std::string weights_directory;
#define WEIGHTS_DIR weights_directory
#include CORE_FILE

// Features, actions and log2 of the logits' unit come from the command line.
namespace {

template <class Input, class Output>
void run(void (*core)(Input *, Output *), const int64_t *observations, int64_t *logits, int64_t rows) {
    constexpr int fraction = Output::width - Output::iwidth;
    static_assert(Output::width <= 64, "logits wider than 64 bits");
    static_assert(fraction + LOGIT_EXPONENT < 32 && fraction + LOGIT_EXPONENT > -32, "unit far from the type's");
    Input x[FEATURES];
    Output y[ACTIONS];
    for (int64_t row = 0; row < rows; ++row) {
        for (int i = 0; i < FEATURES; ++i)
            x[i].range() = *observations++; // the raw bits: an exact conversion
        core(x, y);
        for (int i = 0; i < ACTIONS; ++i) {
            const ap_int<Output::width> bits = y[i].range();
            const int64_t value = bits.to_int64();
            // Bits below the logits' unit are zero, so that the shift loses nothing.
            const int shift = fraction + LOGIT_EXPONENT;
            *logits++ = shift >= 0 ? value >> shift : value * (int64_t(1) << -shift);
        }
    }
}

} // namespace

extern "C" __attribute__((visibility("default"))) void hls4rl_infer(const char *weights, const int64_t *observations,
                                                                    int64_t *logits, int64_t rows) {
    weights_directory = weights;
    run(TOP_FUNCTION, observations, logits, rows);
}
