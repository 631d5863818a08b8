/* SPDX-License-Identifier: BSD-2-Clause */
#include "message/b64_avx2.h"

#ifdef B64_HAVE_AVX2
#include <immintrin.h>

#define AVX2 __attribute__((target("avx2")))

/* Sixteen bytes, the same in both lanes. */
#define BOTH(...) _mm256_broadcastsi128_si256(_mm_setr_epi8(__VA_ARGS__))

/* Spreads 3 bytes over 4 bytes of 6 bits each, in every group of 4. */
AVX2 static __m256i
spread(__m256i in)
{
	__m256i high, low;

	in = _mm256_shuffle_epi8(in, BOTH(1, 0, 2, 1, 4, 3, 5, 4, 7, 6, 8, 7, 10, 9, 11, 10));
	high = _mm256_mulhi_epu16(
		_mm256_and_si256(in, _mm256_set1_epi32(0x0fc0fc00)), _mm256_set1_epi32(0x04000040));
	low = _mm256_mullo_epi16(
		_mm256_and_si256(in, _mm256_set1_epi32(0x003f03f0)), _mm256_set1_epi32(0x01000010));
	return _mm256_or_si256(high, low);
}

/* Values 0 to 63 to characters: what has to be added depends on the range, found by its number. */
AVX2 static __m256i
to_characters(__m256i values)
{
	const __m256i offsets =
		BOTH(65, 71, -4, -4, -4, -4, -4, -4, -4, -4, -4, -4, -19, -16, 0, 0);
	__m256i range = _mm256_subs_epu8(values, _mm256_set1_epi8(51));

	range = _mm256_sub_epi8(range, _mm256_cmpgt_epi8(values, _mm256_set1_epi8(25)));
	return _mm256_add_epi8(values, _mm256_shuffle_epi8(offsets, range));
}

AVX2 size_t
b64_avx2_encode(const unsigned char *in, size_t len, char *out)
{
	size_t used = 0;

	for (; len - used >= 28; used += 24, out += 32) {
		__m128i low = _mm_loadu_si128((const __m128i *)(in + used));
		__m128i high = _mm_loadu_si128((const __m128i *)(in + used + 12));
		__m256i both = _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);

		_mm256_storeu_si256((__m256i *)out, to_characters(spread(both)));
	}
	return used;
}

/* Four values of 6 bits to 3 bytes, 24 bytes in all, at the beginning of the result. */
AVX2 static __m256i
pack(__m256i values)
{
	__m256i pairs = _mm256_maddubs_epi16(values, _mm256_set1_epi32(0x01400140));
	__m256i triples = _mm256_madd_epi16(pairs, _mm256_set1_epi32(0x00011000));

	triples = _mm256_shuffle_epi8(
		triples, BOTH(2, 1, 0, 6, 5, 4, 10, 9, 8, 14, 13, 12, -1, -1, -1, -1));
	return _mm256_permutevar8x32_epi32(triples, _mm256_setr_epi32(0, 1, 2, 4, 5, 6, 7, 7));
}

AVX2 size_t
b64_avx2_decode(const unsigned char *in, size_t len, unsigned char *out)
{
	/* A character is good when its low and its high nibble have no bit in common here. */
	const __m256i low_bits = BOTH(0x15, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11,
		0x13, 0x1a, 0x1b, 0x1b, 0x1b, 0x1a);
	const __m256i high_bits = BOTH(0x10, 0x10, 0x01, 0x02, 0x04, 0x08, 0x04, 0x08, 0x10, 0x10,
		0x10, 0x10, 0x10, 0x10, 0x10, 0x10);
	/* What to add, by high nibble; '/' shares its nibble with '+' and is moved one down. */
	const __m256i offsets = BOTH(0, 16, 19, 4, -65, -65, -71, -71, 0, 0, 0, 0, 0, 0, 0, 0);
	const __m256i slash = _mm256_set1_epi8(0x2f);
	size_t used = 0;

	for (; len - used >= 44; used += 32, out += 24) {
		__m256i text = _mm256_loadu_si256((const __m256i *)(in + used));
		__m256i high = _mm256_and_si256(_mm256_srli_epi32(text, 4), slash);
		__m256i low = _mm256_and_si256(text, slash);
		__m256i offset = _mm256_add_epi8(_mm256_cmpeq_epi8(text, slash), high);
		__m256i common = _mm256_and_si256(
			_mm256_shuffle_epi8(low_bits, low), _mm256_shuffle_epi8(high_bits, high));
		__m256i good = _mm256_cmpeq_epi8(common, _mm256_setzero_si256());
		unsigned bad = ~(unsigned)_mm256_movemask_epi8(good);

		text = _mm256_add_epi8(text, _mm256_shuffle_epi8(offsets, offset));
		_mm256_storeu_si256((__m256i *)out, pack(text));
		if (bad) /* the groups before it count */
			return used + ((unsigned)__builtin_ctz(bad) & ~3u);
	}
	return used;
}
#else
/* ISO C wants a declaration in a file. */
extern const char b64_without_avx2;
#endif
