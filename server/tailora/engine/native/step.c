/* One pass of a Llama or Qwen2 model over a few tokens, weights in 5 bits. Compiled where it runs, by native/build.py.

   Everything between the embedding and the logits happens in here, as at these sizes calling an operator costs as much
   as its arithmetic. All threads walk through the layers together and meet at barriers; what is cheap, each does for
   itself. A token's result does not depend, bit for bit, on how many come with it or on the number of threads: no sum is
   split between threads, and every token goes through the same instructions (-ffp-contract=off; FMA is written out).

   Weights lie in blocks of 16 outputs; of each block, 32 inputs are one record of 384 bytes:

       16 scales, 16 zeros (IEEE half) | 4 x 64 bytes of nibbles | 8 x 64 bits, the fifth bit of each value
       weight = value * scale + zero, value 0..31

   Byte 4 r + i of nibble vector v holds input 4 v + i of output r in its low half, and input 16 + 4 v + i in its high
   half; bit 4 r + i of mask m is the fifth bit of input 4 m + i. Inputs are quantized to 8 bits by groups of 32. */

#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { OUTPUTS = 16, GROUP = 32, RECORD = 384, TOKENS = 16, AT_ONCE = 8, LOW_AT_ONCE = 4 };
enum { MOST_THREADS = 64, SPINS = 4000 };

typedef float F16 __attribute__((vector_size(64)));
typedef int32_t I16 __attribute__((vector_size(64)));
typedef uint16_t U16 __attribute__((vector_size(32)));
typedef uint32_t W16 __attribute__((vector_size(64)));

typedef struct {
    const float *norm_in, *norm_post, *bias; /* bias may be NULL */
    const uint8_t *qkv, *o, *gate_up, *down;
} Layer;

typedef struct {
    int32_t layers, heads, kv_heads, width, hidden, inner, vocabulary;
    float root_eps; /* sqrt(eps * hidden); norms hold sqrt(hidden) */
    const Layer *layer;
    const float *norm, *cosine, *sine; /* (positions, width) each */
    const uint8_t *head;
} Model;

typedef struct { /* what an adapter does to a product */
    int64_t ranks;
    const uint16_t *a, *b; /* bfloat16, (ranks, in), and of each block of outputs (ranks of its span, 16); scale in b */
    const int32_t *spans; /* (out / 16, 3): of each block, its first rank, the one behind its last, and where in b it is */
    const float *gain; /* (out), of the weights' own product; or NULL */
    /* Behind o and down: h + up gelu(down h + down_bias) + up_bias, of a bottleneck; 0 for none. */
    int64_t narrow;
    const uint16_t *narrow_down, *narrow_up; /* bfloat16, (narrow, hidden), (hidden / 16, narrow, 16) */
    const float *down_bias, *up_bias; /* (narrow), (hidden) */
} Lora;

typedef struct {
    const Model *model;
    const Lora *lora; /* 4 a layer: qkv, o, gate_up, down; or NULL */
    float *x; /* (count, hidden); overwritten */
    uint16_t *keys, *values; /* bfloat16, (layers, kv heads, capacity, width) */
    int64_t capacity;
    float *logits; /* (wanted, vocabulary), of the last tokens */
    int32_t count, start, wanted, threads;
} Call;

/* ---- Vectors ---- */

static inline F16 load(const float *p) { F16 v; memcpy(&v, p, 64); return v; }
static inline void store(float *p, F16 v) { memcpy(p, &v, 64); }
static inline F16 all(float x) { return x - (F16){0}; }

static inline F16 larger(F16 a, F16 b) { I16 m = a > b; return (F16)((m & (I16)a) | (~m & (I16)b)); }
static inline F16 smaller(F16 a, F16 b) { I16 m = a < b; return (F16)((m & (I16)a) | (~m & (I16)b)); }

static inline F16 fma16(F16 a, F16 b, F16 c) {
#if defined(__AVX512F__)
    return (F16)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#else
    F16 r;
    for (int i = 0; i < 16; i++) r[i] = __builtin_fmaf(a[i], b[i], c[i]);
    return r;
#endif
}

static inline float sum16(F16 v) {
#if defined(__AVX512F__)
    return _mm512_reduce_add_ps((__m512)v);
#else
    float s[8];
    for (int i = 0; i < 8; i++) s[i] = v[i] + v[i + 8];
    return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
#endif
}

static inline F16 half_to_float(const uint8_t *p) {
#if defined(__AVX512F__)
    return (F16)_mm512_cvtph_ps(_mm256_loadu_si256((const void *)p));
#else
    U16 h; memcpy(&h, p, 32);
    W16 w = __builtin_convertvector(h, W16);
    /* The exponent of a half, put where a float's is, is too small by 112. */
    F16 v = (F16)((w & 0x7fff) << 13) * 0x1p112f;
    return (F16)((W16)v | (w & 0x8000) << 16);
#endif
}

static inline F16 short_to_float(const uint16_t *p) { /* bfloat16 */
#if defined(__AVX512F__)
    __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const void *)p));
    return (F16)_mm512_slli_epi32(wide, 16);
#else
    U16 h; memcpy(&h, p, 32);
    return (F16)(__builtin_convertvector(h, W16) << 16);
#endif
}

static inline void float_to_short(uint16_t *p, F16 v) { /* to the nearest, ties to even */
    W16 w = (W16)v;
    w = (w + 0x7fff + (w >> 16 & 1)) >> 16;
    U16 h = __builtin_convertvector(w, U16);
    memcpy(p, &h, 32);
}

/* e^x by 2^n times a polynomial of degree 6 (Taylor), relative error below 1e-6. */
static inline F16 exp16(F16 x) {
    x = smaller(larger(x, all(-87.0f)), all(87.0f));
    F16 n = x * 1.44269504f + 12582912.0f; /* rounds: 1.5 * 2^23 */
    n -= 12582912.0f;
    F16 r = fma16(n, all(-0.693359375f), x);
    r = fma16(n, all(2.12194440e-4f), r);
    F16 p = all(1.0f / 720);
    p = fma16(p, r, all(1.0f / 120));
    p = fma16(p, r, all(1.0f / 24));
    p = fma16(p, r, all(1.0f / 6));
    p = fma16(p, r, all(0.5f));
    p = fma16(p, r, all(1.0f));
    p = fma16(p, r, all(1.0f));
    return p * (F16)((__builtin_convertvector(n, I16) + 127) << 23);
}

/* ---- Products ---- */

typedef struct { /* a thread's inputs of one product */
    int8_t *q; /* (TOKENS, widest) */
    float *step, *sum; /* (TOKENS, widest / GROUP): weight of one unit; step times sum of the units */
    float *h; /* (TOKENS, hidden): normed */
    float *low; /* (TOKENS, most ranks, or the widest bottleneck) */
    float *scores; /* (longest) */
} Own;

static void quantize(Own *own, const float *x, int count, int width) {
    int groups = width / GROUP;
    for (int t = 0; t < count; t++)
        for (int g = 0; g < groups; g++) {
            const float *p = x + (int64_t)t * width + g * GROUP;
            F16 a = load(p), b = load(p + 16);
            F16 m = larger(larger(a, -a), larger(b, -b));
            float most = 0;
            for (int i = 0; i < 16; i++) most = m[i] > most ? m[i] : most;
            float step = most / 127, inverse = most > 0 ? 127 / most : 0;
            I16 qa = __builtin_convertvector((a * inverse + 12582912.0f) - 12582912.0f, I16);
            I16 qb = __builtin_convertvector((b * inverse + 12582912.0f) - 12582912.0f, I16);
            int8_t *q = own->q + (int64_t)t * width + g * GROUP;
            int32_t sum = 0;
            I16 both = qa + qb;
            for (int i = 0; i < 16; i++) q[i] = (int8_t)qa[i], q[16 + i] = (int8_t)qb[i], sum += both[i];
            own->step[t * groups + g] = step;
            own->sum[t * groups + g] = step * (float)sum;
        }
}

/* (count, width) times A (ranks, width), for each token on its own, some ranks at once, so that no sum waits for itself. */
static void lower(Own *own, const uint16_t *rows, int64_t ranks, const float *x, int count, int width) {
    for (int t = 0; t < count; t++, x += width) {
        float *low = own->low + t * ranks;
        int64_t r = 0;
        for (; r + 4 <= ranks; r += 4) {
            const uint16_t *a = rows + r * width;
            F16 s[4] = {0};
            for (int i = 0; i < width; i += 16) {
                F16 v = load(x + i);
                for (int k = 0; k < 4; k++) s[k] = fma16(short_to_float(a + k * width + i), v, s[k]);
            }
            for (int k = 0; k < 4; k++) low[r + k] = sum16(s[k]);
        }
        for (; r < ranks; r++) {
            F16 s = {0};
            for (int i = 0; i < width; i += 16) s = fma16(short_to_float(rows + r * width + i), load(x + i), s);
            low[r] = sum16(s);
        }
    }
}

/* As torch has it by tanh, which is 1 - 2 / (1 + e^2z). */
static inline float gelu(float x) {
    float z = 0.7978845608f * (x + 0.044715f * x * x * x);
    F16 e = exp16(all(2 * z));
    return 0.5f * x * (2 - 2 / (1 + e[0]));
}

/* Unrolled, as only then what belongs to a token stays in registers. */
#if defined(__clang__)
#define EACH_TOKEN _Pragma("unroll") for (int t = 0; t < count; t++)
#else
#define EACH_TOKEN _Pragma("GCC unroll 8") for (int t = 0; t < count; t++)
#endif

/* 16 outputs of up to AT_ONCE tokens. `count` is a constant where this is inlined. */
static inline __attribute__((always_inline)) void block_of(
    const uint8_t *w, const int8_t *q, const float *step, const float *sum, int groups, int count, F16 *y) {
    F16 acc[AT_ONCE];
    EACH_TOKEN acc[t] = (F16){0};
    for (int g = 0; g < groups; g++, w += RECORD) {
        F16 scale = half_to_float(w), zero = half_to_float(w + 32);
#if defined(__AVX512VNNI__) && defined(__AVX512BW__)
        const __m512i low = _mm512_set1_epi8(15), fifth = _mm512_set1_epi8(16);
        __m512i units[AT_ONCE];
        EACH_TOKEN units[t] = _mm512_setzero_si512();
        for (int i = 0; i < 4; i++) {
            uint64_t first, second;
            memcpy(&first, w + 320 + 8 * i, 8);
            memcpy(&second, w + 352 + 8 * i, 8);
            __m512i both = _mm512_loadu_si512(w + 64 + 64 * i);
            __m512i u = _mm512_and_si512(both, low), v = _mm512_and_si512(_mm512_srli_epi16(both, 4), low);
            u = _mm512_mask_add_epi8(u, first, u, fifth);
            v = _mm512_mask_add_epi8(v, second, v, fifth);
            EACH_TOKEN {
                const int8_t *p = q + ((int64_t)t * groups + g) * GROUP + 4 * i;
                int32_t four, other;
                memcpy(&four, p, 4);
                memcpy(&other, p + 16, 4);
                units[t] = _mm512_dpbusd_epi32(units[t], u, _mm512_set1_epi32(four));
                units[t] = _mm512_dpbusd_epi32(units[t], v, _mm512_set1_epi32(other));
            }
        }
        EACH_TOKEN {
            F16 dot = (F16)_mm512_cvtepi32_ps(units[t]);
#elif defined(__AVX2__)
        __m256i v[8][2]; /* outputs 0..7 and 8..15 */
        const __m256i low = _mm256_set1_epi8(15), fifth = _mm256_set1_epi8(16), ones = _mm256_set1_epi16(1);
        const __m256i spread = _mm256_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1,
                                                2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3);
        const __m256i bits = _mm256_set1_epi64x((int64_t)0x8040201008040201);
        for (int side = 0; side < 2; side++) {
            for (int i = 0; i < 4; i++) {
                __m256i both = _mm256_loadu_si256((const void *)(w + 64 + 64 * i + 32 * side));
                v[i][side] = _mm256_and_si256(both, low);
                v[i + 4][side] = _mm256_and_si256(_mm256_srli_epi16(both, 4), low);
            }
            for (int i = 0; i < 8; i++) {
                int32_t mask; memcpy(&mask, w + 320 + 8 * i + 4 * side, 4);
                __m256i m = _mm256_and_si256(_mm256_shuffle_epi8(_mm256_set1_epi32(mask), spread), bits);
                m = _mm256_and_si256(_mm256_cmpeq_epi8(m, bits), fifth);
                v[i][side] = _mm256_or_si256(v[i][side], m);
            }
        }
        EACH_TOKEN {
            const int8_t *p = q + ((int64_t)t * groups + g) * GROUP;
            __m256i d[2];
            for (int side = 0; side < 2; side++) {
                __m256i sums[2]; /* of 16 bits: four pairs of at most 2 * 31 * 127 fit */
                for (int part = 0; part < 2; part++) {
                    sums[part] = _mm256_setzero_si256();
                    for (int i = 4 * part; i < 4 * part + 4; i++) {
                        int32_t four; memcpy(&four, p + 4 * i, 4);
                        __m256i pairs = _mm256_maddubs_epi16(v[i][side], _mm256_set1_epi32(four));
                        sums[part] = _mm256_add_epi16(sums[part], pairs);
                    }
                }
                d[side] = _mm256_add_epi32(_mm256_madd_epi16(sums[0], ones), _mm256_madd_epi16(sums[1], ones));
            }
            I16 units; memcpy(&units, d, 64);
            F16 dot = __builtin_convertvector(units, F16);
#else
        int8_t v[8][64];
        for (int i = 0; i < 4; i++)
            for (int b = 0; b < 64; b++) {
                uint8_t both = w[64 + 64 * i + b];
                v[i][b] = (int8_t)((both & 15) | (w[320 + 8 * i + b / 8] >> (b & 7) & 1) << 4);
                v[i + 4][b] = (int8_t)(both >> 4 | (w[352 + 8 * i + b / 8] >> (b & 7) & 1) << 4);
            }
        EACH_TOKEN {
            const int8_t *p = q + ((int64_t)t * groups + g) * GROUP;
            I16 units = {0};
            for (int i = 0; i < 8; i++)
                for (int r = 0; r < 16; r++)
                    for (int b = 0; b < 4; b++) units[r] += v[i][4 * r + b] * p[4 * i + b];
            F16 dot = __builtin_convertvector(units, F16);
#endif
            acc[t] = fma16(scale * step[t * groups + g], dot, acc[t]);
            acc[t] = fma16(zero, all(sum[t * groups + g]), acc[t]);
        }
    }
    EACH_TOKEN y[t] = acc[t];
}

/* Adds B's ranks (ranks, 16) times what A made of each token, (tokens, stride). Two sums a token, as one would wait for
   itself; a token's are the same however many come with it. `count` is a constant where this is inlined. */
static inline __attribute__((always_inline)) void rise(
    const uint16_t *b, int64_t ranks, const float *low, int64_t stride, int count, F16 *y) {
    F16 even[LOW_AT_ONCE], odd[LOW_AT_ONCE];
    EACH_TOKEN even[t] = y[t], odd[t] = (F16){0};
    int64_t r = 0;
    for (; r + 1 < ranks; r += 2) {
        F16 v = short_to_float(b + 16 * r), w = short_to_float(b + 16 * r + 16);
        EACH_TOKEN {
            even[t] = fma16(all(low[t * stride + r]), v, even[t]);
            odd[t] = fma16(all(low[t * stride + r + 1]), w, odd[t]);
        }
    }
    if (r < ranks) {
        F16 v = short_to_float(b + 16 * r);
        EACH_TOKEN even[t] = fma16(all(low[t * stride + r]), v, even[t]);
    }
    EACH_TOKEN y[t] = even[t] + odd[t];
}

/* Outputs 16 * block and on, of all tokens, LoRA included. */
static void outputs(const Own *own, const uint8_t *w, const Lora *lora, int64_t block, int count, int width, F16 *y) {
    const int32_t *span = lora && lora->ranks ? lora->spans + 3 * block : NULL;
    const uint16_t *b = span ? lora->b + (int64_t)16 * span[2] : NULL;
    const int64_t ranks = span ? span[1] - span[0] : 0;
    for (int64_t r = 0; r < ranks; r += 2) __builtin_prefetch(b + 16 * r); /* needed when the weights are done */
    int groups = width / GROUP;
    w += block * groups * RECORD;
    for (int t = 0; t < count; t += AT_ONCE) {
        const int8_t *q = own->q + (int64_t)t * width;
        const float *step = own->step + t * groups, *sum = own->sum + t * groups;
        switch (count - t) {
#define CASE(n) case n: block_of(w, q, step, sum, groups, n, y + t); break;
            CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6) CASE(7)
#undef CASE
            default: block_of(w, q, step, sum, groups, AT_ONCE, y + t);
        }
    }
    if (lora && lora->gain) {
        F16 gain = load(lora->gain + 16 * block);
        for (int t = 0; t < count; t++) y[t] *= gain;
    }
    for (int t = 0; ranks && t < count; t += LOW_AT_ONCE) {
        const float *low = own->low + t * lora->ranks + span[0];
        switch (count - t) {
#define CASE(n) case n: rise(b, ranks, low, lora->ranks, n, y + t); break;
            CASE(1) CASE(2) CASE(3)
#undef CASE
            default: rise(b, ranks, low, lora->ranks, LOW_AT_ONCE, y + t);
        }
    }
}

static void norm(const float *x, const float *weight, float root_eps, float *h, int count, int hidden) {
    for (int t = 0; t < count; t++) {
        const float *p = x + (int64_t)t * hidden;
        F16 s = {0};
        for (int i = 0; i < hidden; i += 16) s = fma16(load(p + i), load(p + i), s);
        float inverse = 1 / sqrtf(sum16(s) + root_eps * root_eps);
        for (int i = 0; i < hidden; i += 16)
            store(h + (int64_t)t * hidden + i, load(p + i) * load(weight + i) * inverse);
    }
}

/* ---- Threads ---- */

typedef struct {
    atomic_int waiting, turn;
} Barrier;

static inline void pause_briefly(void) {
#if defined(__x86_64__)
    _mm_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Others may need the core that the last one is to run on: after a while it is offered to them. */
static void meet(Barrier *barrier, int threads) {
    if (threads == 1) return;
    int turn = atomic_load_explicit(&barrier->turn, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&barrier->waiting, 1, memory_order_acq_rel) == threads - 1) {
        atomic_store_explicit(&barrier->waiting, 0, memory_order_relaxed);
        atomic_store_explicit(&barrier->turn, turn + 1, memory_order_release);
        return;
    }
    for (int spins = 0; atomic_load_explicit(&barrier->turn, memory_order_acquire) == turn; spins++) {
        if (spins < SPINS) pause_briefly();
        else sched_yield();
    }
}

static inline int64_t share(int64_t items, int thread, int threads) { return items * thread / threads; }

/* ---- The pass ---- */

typedef struct { /* what threads share in a call */
    float *qkv, *attended, *inner, *branch;
    Barrier barrier;
    Own own[MOST_THREADS];
} Shared;

static void rotate(const float *x, const float *cosine, const float *sine, float *y, int width) {
    for (int i = 0; i < width; i++) {
        int other = i < width / 2 ? i + width / 2 : i - width / 2;
        y[i] = x[i] * cosine[i] + x[other] * sine[i]; /* the first half of the sine carries the minus sign */
    }
}

static void attend(const Model *m, const float *q, const uint16_t *keys, const uint16_t *values, int length,
                   float *scores, float *out) {
    int width = m->width;
    float most = -INFINITY, root = 1 / sqrtf((float)width);
    for (int i = 0; i < length; i++) {
        const uint16_t *key = keys + (int64_t)i * width;
        F16 s = {0};
        for (int j = 0; j < width; j += 16) s = fma16(load(q + j), short_to_float(key + j), s);
        scores[i] = sum16(s) * root;
        most = scores[i] > most ? scores[i] : most;
    }
    int padded = (length + 15) & ~15;
    for (int i = length; i < padded; i++) scores[i] = -INFINITY;
    F16 total = {0};
    for (int i = 0; i < padded; i += 16) {
        F16 e = exp16(load(scores + i) - most);
        for (int j = length - i; j < 16; j++) e[j] = 0;
        store(scores + i, e);
        total += e;
    }
    float inverse = 1 / sum16(total);
    for (int j = 0; j < width; j += 16) {
        F16 s = {0}, u = {0};
        int i = 0;
        for (; i + 1 < length; i += 2) {
            s = fma16(all(scores[i]), short_to_float(values + (int64_t)i * width + j), s);
            u = fma16(all(scores[i + 1]), short_to_float(values + (int64_t)(i + 1) * width + j), u);
        }
        if (i < length) s = fma16(all(scores[i]), short_to_float(values + (int64_t)i * width + j), s);
        store(out + j, (s + u) * inverse);
    }
}

/* Adds a product of `input` (tokens, width) to the residual stream, through a bottleneck where there is one: this
   thread's share of the outputs. */
static void add_product(
    const Call *c, Shared *s, Own *own, const uint8_t *w, const Lora *lora, const float *input, int width, int me) {
    const int n = c->count, hidden = c->model->hidden, narrow = lora ? (int)lora->narrow : 0;
    F16 y[TOKENS];
    quantize(own, input, n, width);
    if (lora) lower(own, lora->a, lora->ranks, input, n, width);
    for (int64_t b = share(hidden / 16, me, c->threads); b < share(hidden / 16, me + 1, c->threads); b++) {
        outputs(own, w, lora, b, n, width, y);
        for (int t = 0; t < n; t++) {
            float *p = c->x + (int64_t)t * hidden + 16 * b;
            if (narrow) store(s->branch + (int64_t)t * hidden + 16 * b, y[t]);
            else store(p, load(p) + y[t]);
        }
    }
    if (!narrow) return;
    meet(&s->barrier, c->threads);
    lower(own, lora->narrow_down, narrow, s->branch, n, hidden); /* so little that each thread does it for itself */
    for (int t = 0; t < n; t++)
        for (int r = 0; r < narrow; r++) own->low[t * narrow + r] = gelu(own->low[t * narrow + r] + lora->down_bias[r]);
    for (int64_t b = share(hidden / 16, me, c->threads); b < share(hidden / 16, me + 1, c->threads); b++)
        for (int t = 0; t < n; t++) {
            float *p = c->x + (int64_t)t * hidden + 16 * b;
            F16 v = load(s->branch + (int64_t)t * hidden + 16 * b) + load(lora->up_bias + 16 * b);
            for (int r = 0; r < narrow; r++)
                v = fma16(all(own->low[t * narrow + r]), short_to_float(lora->narrow_up + (b * narrow + r) * 16), v);
            store(p, load(p) + v);
        }
}

static void walk(const Call *c, Shared *s, int me) {
    const Model *m = c->model;
    Own *own = &s->own[me];
    const int n = c->count, threads = c->threads, hidden = m->hidden, width = m->width, heads = m->heads;
    const int inner = m->inner, kv = m->kv_heads, rows = (heads + 2 * kv) * width, all_heads = heads * width;
    F16 y[TOKENS], z[TOKENS];

    for (int number = 0; number < m->layers; number++) {
        const Layer *layer = &m->layer[number];
        const Lora *lora = c->lora ? c->lora + 4 * number : NULL;
        uint16_t *keys = c->keys + number * c->capacity * kv * width;
        uint16_t *values = c->values + number * c->capacity * kv * width;

        norm(c->x, layer->norm_in, m->root_eps, own->h, n, hidden);
        quantize(own, own->h, n, hidden);
        if (lora) lower(own, lora[0].a, lora[0].ranks, own->h, n, hidden);
        for (int64_t b = share(rows / 16, me, threads); b < share(rows / 16, me + 1, threads); b++) {
            outputs(own, layer->qkv, lora ? &lora[0] : NULL, b, n, hidden, y);
            for (int t = 0; t < n; t++) {
                if (layer->bias) y[t] += load(layer->bias + 16 * b);
                store(s->qkv + (int64_t)t * rows + 16 * b, y[t]);
            }
        }
        meet(&s->barrier, threads);

        float turned[width];
        for (int64_t item = share(n * kv, me, threads); item < share(n * kv, me + 1, threads); item++) {
            int t = (int)(item / kv), head = (int)(item % kv);
            int64_t place = c->start + t, at = (head * c->capacity + place) * width;
            const float *k = s->qkv + (int64_t)t * rows + (heads + head) * width;
            rotate(k, m->cosine + place * width, m->sine + place * width, turned, width);
            for (int i = 0; i < width; i += 16) {
                float_to_short(keys + at + i, load(turned + i));
                float_to_short(values + at + i, load(k + kv * width + i));
            }
        }
        meet(&s->barrier, threads);
        for (int64_t item = share(n * heads, me, threads); item < share(n * heads, me + 1, threads); item++) {
            int t = (int)(item % n), head = (int)(item / n);
            int64_t place = c->start + t, at = (int64_t)(head / (heads / kv)) * c->capacity * width;
            const float *q = s->qkv + (int64_t)t * rows + head * width;
            rotate(q, m->cosine + place * width, m->sine + place * width, turned, width);
            attend(m, turned, keys + at, values + at, (int)place + 1, own->scores,
                   s->attended + (int64_t)t * all_heads + head * width);
        }
        meet(&s->barrier, threads);

        add_product(c, s, own, layer->o, lora ? &lora[1] : NULL, s->attended, all_heads, me);
        meet(&s->barrier, threads);

        norm(c->x, layer->norm_post, m->root_eps, own->h, n, hidden);
        quantize(own, own->h, n, hidden);
        if (lora) lower(own, lora[2].a, lora[2].ranks, own->h, n, hidden);
        for (int64_t b = share(inner / 16, me, threads); b < share(inner / 16, me + 1, threads); b++) {
            outputs(own, layer->gate_up, lora ? &lora[2] : NULL, b, n, hidden, y);
            outputs(own, layer->gate_up, lora ? &lora[2] : NULL, b + inner / 16, n, hidden, z);
            for (int t = 0; t < n; t++)
                store(s->inner + (int64_t)t * inner + 16 * b, y[t] / (1 + exp16(-y[t])) * z[t]);
        }
        meet(&s->barrier, threads);

        add_product(c, s, own, layer->down, lora ? &lora[3] : NULL, s->inner, inner, me);
        meet(&s->barrier, threads);
    }

    const int wanted = c->wanted;
    if (!wanted) return;
    norm(c->x + (int64_t)(n - wanted) * hidden, m->norm, m->root_eps, own->h, wanted, hidden);
    quantize(own, own->h, wanted, hidden);
    const int64_t blocks = (m->vocabulary + 15) / 16;
    for (int64_t b = share(blocks, me, threads); b < share(blocks, me + 1, threads); b++) {
        outputs(own, m->head, NULL, b, wanted, hidden, y);
        int64_t left = m->vocabulary - 16 * b;
        for (int t = 0; t < wanted; t++)
            memcpy(c->logits + (int64_t)t * m->vocabulary + 16 * b, &y[t], 4 * (left < 16 ? left : 16));
    }
}

/* ---- The pool: threads wait for the next call awake for a moment, then asleep ---- */

static struct {
    pthread_mutex_t lock, one_call;
    pthread_cond_t call_came;
    int threads; /* beside the calling one */
    atomic_uint calls; /* their number, times 256, plus how many threads the last one wants */
    atomic_int done;
    const Call *call;
    Shared *shared;
    uint8_t *memory; /* of the calls: kept, as fresh pages cost more than what is done with them */
    size_t size;
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER, .one_call = PTHREAD_MUTEX_INITIALIZER,
          .call_came = PTHREAD_COND_INITIALIZER};

static void *work(void *argument) {
    unsigned me = (unsigned)(uintptr_t)argument, seen = 0;
    for (;;) {
        for (int spins = 0; spins < SPINS && atomic_load(&pool.calls) == seen; spins++) pause_briefly();
        if (atomic_load(&pool.calls) == seen) {
            pthread_mutex_lock(&pool.lock);
            while (atomic_load(&pool.calls) == seen) pthread_cond_wait(&pool.call_came, &pool.lock);
            pthread_mutex_unlock(&pool.lock);
        }
        seen = atomic_load(&pool.calls);
        /* A call lasts until all that it wants are done; those that it does not want must not look at it. */
        if (me >= seen % 256) continue;
        walk(pool.call, pool.shared, (int)me);
        atomic_fetch_add(&pool.done, 1);
    }
    return NULL;
}

/* Several pieces from one allocation, each on a cache line of its own. */
static void *piece(uint8_t **at, size_t bytes) {
    void *p = *at;
    *at += (bytes + 63) & ~(size_t)63;
    return p;
}

static size_t lay_out(const Call *c, Shared *s, uint8_t *memory) {
    const Model *m = c->model;
    const size_t n = c->count, rows = (size_t)(m->heads + 2 * m->kv_heads) * m->width;
    size_t widest = m->inner > m->hidden ? m->inner : m->hidden, ranks = 0;
    if ((size_t)m->heads * m->width > widest) widest = (size_t)m->heads * m->width;
    for (int i = 0; c->lora && i < 4 * m->layers; i++) {
        if ((size_t)c->lora[i].ranks > ranks) ranks = c->lora[i].ranks;
        if ((size_t)c->lora[i].narrow > ranks) ranks = c->lora[i].narrow;
    }
    uint8_t *at = memory;
    s->qkv = piece(&at, 4 * n * rows);
    s->attended = piece(&at, 4 * n * m->heads * m->width);
    s->inner = piece(&at, 4 * n * m->inner);
    s->branch = piece(&at, 4 * n * m->hidden);
    for (int i = 0; i < c->threads; i++) {
        Own *own = &s->own[i];
        own->q = piece(&at, n * widest);
        own->step = piece(&at, 4 * n * (widest / GROUP));
        own->sum = piece(&at, 4 * n * (widest / GROUP));
        own->h = piece(&at, 4 * n * m->hidden);
        own->low = piece(&at, 4 * n * ranks);
        own->scores = piece(&at, 4 * ((size_t)c->start + n + 16));
    }
    return (size_t)(at - memory);
}

/* 0, or -1 where memory could not be had, or the call is larger than what this was made for. */
int tailora_step(Call *c) {
    if (c->count < 1 || c->count > TOKENS || c->threads < 1 || c->wanted > c->count) return -1;
    if (c->threads > MOST_THREADS) c->threads = MOST_THREADS;
    pthread_mutex_lock(&pool.one_call);
    Shared shared;
    memset(&shared, 0, sizeof shared);
    size_t size = lay_out(c, &shared, NULL) + 64;
    if (size > pool.size) {
        free(pool.memory);
        pool.size = (size + 4095) & ~(size_t)4095;
        pool.memory = aligned_alloc(64, pool.size);
        if (!pool.memory) pool.size = 0;
    }
    int failed = pool.memory == NULL;
    if (!failed) {
        lay_out(c, &shared, pool.memory);
        while (pool.threads < c->threads - 1) {
            pthread_t thread;
            if (pthread_create(&thread, NULL, work, (void *)(uintptr_t)(pool.threads + 1))) break;
            pthread_detach(thread);
            pool.threads++;
        }
        if (c->threads > pool.threads + 1) c->threads = pool.threads + 1;
        if (c->threads > 1) {
            pool.call = c, pool.shared = &shared;
            atomic_store(&pool.done, 0);
            pthread_mutex_lock(&pool.lock);
            atomic_store(&pool.calls, (atomic_load(&pool.calls) / 256 + 1) * 256 + (unsigned)c->threads);
            pthread_cond_broadcast(&pool.call_came);
            pthread_mutex_unlock(&pool.lock);
        }
        walk(c, &shared, 0);
        for (int spins = 0; atomic_load(&pool.done) < c->threads - 1; spins++) {
            if (spins < SPINS) pause_briefly();
            else sched_yield();
        }
        atomic_store(&pool.done, 0);
    }
    pthread_mutex_unlock(&pool.one_call);
    return failed ? -1 : 0;
}
