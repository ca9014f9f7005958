/* What a training step does to its activations between the products, each in one pass over memory. Compiled where it
   runs, by base/compiled.py; with -fopenmp it shares the threads of torch, whose libgomp is loaded already.

   All matrices are rows of float32, one a token, unless said otherwise. The loops are written for the compiler to
   vectorize. */

#include <math.h>
#include <stdint.h>
#include <string.h>

static inline uint16_t narrow(float x) { /* to bfloat16, to the nearest even one; no NaNs are handed in */
    uint32_t bits;
    memcpy(&bits, &x, 4);
    return (uint16_t)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

static inline float wide(uint16_t x) {
    uint32_t bits = (uint32_t)x << 16;
    float y;
    memcpy(&y, &bits, 4);
    return y;
}

/* exp for |x| <= 87 by 2^n and a polynomial (Cephes, expf), vectorizable; the relative error is below 2e-7. */
static inline float exponential(float x) {
    x = x > 87.f ? 87.f : x < -87.f ? -87.f : x;
    const float n = floorf(x * 1.44269504f + 0.5f);
    const float r = x - n * 0.693359375f + n * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.f;
    const uint32_t bits = (uint32_t)((int32_t)n + 127) << 23;
    float power;
    memcpy(&power, &bits, 4);
    return p * power;
}

/* To 8 bits with one step a row: values 1..255, 128 stands for 0; and to bfloat16 where `copy` is wanted. */
void tailora_quantize(const float *x, int64_t rows, int64_t width, uint8_t *values, float *steps, uint16_t *copy) {
#pragma omp parallel for schedule(static)
    for (int64_t row = 0; row < rows; row++) {
        const float *in = x + row * width;
        float most = 1e-12f;
        for (int64_t i = 0; i < width; i++) {
            const float size = fabsf(in[i]);
            most = size > most ? size : most;
        }
        const float step = most / 127.f, inverse = 127.f / most;
        steps[row] = step;
        uint8_t *out = values + row * width;
        for (int64_t i = 0; i < width; i++) out[i] = (uint8_t)(int32_t)(in[i] * inverse + 128.5f);
        if (copy)
            for (int64_t i = 0; i < width; i++) copy[row * width + i] = narrow(in[i]);
    }
}

/* out = silu(gate) * up; gate and up are kept in bfloat16. */
void tailora_swiglu(
    const float *gate, const float *up, int64_t count, float *out, uint16_t *kept_gate, uint16_t *kept_up) {
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < count; i++) {
        out[i] = gate[i] / (1.f + exponential(-gate[i])) * up[i];
        kept_gate[i] = narrow(gate[i]);
        kept_up[i] = narrow(up[i]);
    }
}

void tailora_swiglu_backward(
    const float *gradient, const uint16_t *kept_gate, const uint16_t *kept_up, int64_t count, float *of_gate,
    float *of_up) {
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < count; i++) {
        const float gate = wide(kept_gate[i]), g = gradient[i];
        const float sigmoid = 1.f / (1.f + exponential(-gate)), silu = gate * sigmoid;
        of_up[i] = g * silu;
        of_gate[i] = g * wide(kept_up[i]) * (sigmoid + silu * (1.f - sigmoid));
    }
}

/* y = x / rms(x) * weight; inverse = 1 / rms(x) of each row. */
void tailora_norm(
    const float *x, const float *weight, int64_t rows, int64_t width, float epsilon, float *y, float *inverse) {
#pragma omp parallel for schedule(static)
    for (int64_t row = 0; row < rows; row++) {
        const float *in = x + row * width;
        float sum = 0.f;
        for (int64_t i = 0; i < width; i++) sum += in[i] * in[i];
        const float scale = 1.f / sqrtf(sum / (float)width + epsilon);
        inverse[row] = scale;
        for (int64_t i = 0; i < width; i++) y[row * width + i] = in[i] * scale * weight[i];
    }
}

void tailora_norm_backward(
    const float *gradient, const float *x, const float *weight, const float *inverse, int64_t rows, int64_t width,
    float *of_x) {
#pragma omp parallel for schedule(static)
    for (int64_t row = 0; row < rows; row++) {
        const float *in = x + row * width, *g = gradient + row * width;
        float dot = 0.f;
        for (int64_t i = 0; i < width; i++) dot += g[i] * weight[i] * in[i];
        const float scale = inverse[row], part = dot / (float)width * scale * scale;
        for (int64_t i = 0; i < width; i++) of_x[row * width + i] = (g[i] * weight[i] - in[i] * part) * scale;
    }
}

/* Rotary positions, halves layout, from `x` to `y` (tokens, heads, 2 half); `sign` -1 turns back. */
void tailora_rotate(
    const float *x, const float *cosine, const float *sine, int64_t tokens, int64_t heads, int64_t half, float sign,
    float *y) {
#pragma omp parallel for schedule(static)
    for (int64_t token = 0; token < tokens; token++) {
        const float *c = cosine + token * half, *s = sine + token * half;
        for (int64_t head = 0; head < heads; head++) {
            const float *a = x + (token * heads + head) * 2 * half, *b = a + half;
            float *u = y + (token * heads + head) * 2 * half, *v = u + half;
            for (int64_t i = 0; i < half; i++) {
                u[i] = a[i] * c[i] - sign * b[i] * s[i];
                v[i] = b[i] * c[i] + sign * a[i] * s[i];
            }
        }
    }
}
