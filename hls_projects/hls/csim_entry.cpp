// One call runs a batch of the hls4ml project's C++ on integers: no text, no floats, no Python per row.
//
// Compiled as a single unit together with the project's top function, so that the weights' directory can be
// given at run time and the library keeps working when its project is moved.
#include <cstdint>
#include <string>

static std::string weights_directory;
#define WEIGHTS_DIR weights_directory
#include CORE_FILE

// Features, outputs and log2 of the outputs' unit come from the command line.
namespace {

template <class Input> void put(Input *x, const int64_t *integers) {
    for (int i = 0; i < FEATURES; ++i)
        x[i].range() = integers[i]; // the raw bits: an exact conversion
}

template <class Output> void take(const Output *y, int64_t *integers) {
    constexpr int fraction = Output::width - Output::iwidth;
    static_assert(Output::width <= 64, "logits wider than 64 bits");
    static_assert(fraction + LOGIT_EXPONENT < 32 && fraction + LOGIT_EXPONENT > -32, "unit far from the type's");
    for (int i = 0; i < OUTPUTS; ++i) {
        const ap_int<Output::width> bits = y[i].range();
        int64_t value = bits.to_int64();
        if (value < 0 && !(y[i] < 0)) // the highest bit of a type without a sign
            value += int64_t(1) << (Output::width < 63 ? Output::width : 63);
        // Bits below the logits' unit are zero, so that the shift loses nothing.
        const int shift = fraction + LOGIT_EXPONENT;
        integers[i] = shift >= 0 ? value >> shift : value * (int64_t(1) << -shift);
    }
}

// Signs: hls4ml stores +1 as 1 and -1 as 0.
inline void take(const ap_uint<1> *y, int64_t *integers) {
    for (int i = 0; i < OUTPUTS; ++i)
        integers[i] = y[i] == 1 ? 1 : -1;
}

template <class Input, class Output>
void run(void (*core)(Input *, Output *), const int64_t *observations, int64_t *logits, int64_t rows) {
    Input x[FEATURES];
    Output y[OUTPUTS];
    for (int64_t row = 0; row < rows; ++row) {
        put(x, observations + row * FEATURES);
        core(x, y);
        take(y, logits + row * OUTPUTS);
    }
}

// A stream carries a whole observation, and all logits, in one element.
template <class Input, class Output>
void run(void (*core)(hls::stream<Input> &, hls::stream<Output> &), const int64_t *observations, int64_t *logits,
         int64_t rows) {
    hls::stream<Input> inputs("inputs");
    hls::stream<Output> outputs("outputs");
    Input x;
    for (int64_t row = 0; row < rows; ++row) {
        put(x.data, observations + row * FEATURES);
        inputs.write(x);
        core(inputs, outputs);
        const Output y = outputs.read();
        take(y.data, logits + row * OUTPUTS);
    }
}

} // namespace

extern "C" __attribute__((visibility("default"))) void hls4rl_infer(const char *weights, const int64_t *observations,
                                                                    int64_t *logits, int64_t rows) {
    weights_directory = weights;
    run(TOP_FUNCTION, observations, logits, rows);
}
