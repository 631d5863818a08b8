/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/algorithms.h"

#include <string.h>

static const struct choice {
	enum content_cipher cipher;
	enum smimecap cap;
} modern[] = {{CIPHER_AES256_GCM, SMIMECAP_AES256_GCM}, {CIPHER_AES128_GCM, SMIMECAP_AES128_GCM},
	{CIPHER_AES256_CBC, SMIMECAP_AES256_CBC}, {CIPHER_AES128_CBC, SMIMECAP_AES128_CBC}},
  classic[] = {{CIPHER_AES256_CBC, SMIMECAP_AES256_CBC}, {CIPHER_AES128_CBC, SMIMECAP_AES128_CBC},
	  {CIPHER_AES256_GCM, SMIMECAP_AES256_GCM}, {CIPHER_AES128_GCM, SMIMECAP_AES128_GCM}};

#define N_CHOICES (sizeof(modern) / sizeof(*modern))

static const struct choice *
choices(enum preset preset)
{
	return preset == PRESET_MODERN || preset == PRESET_AUTO ? modern : classic;
}

void
algorithms_init(struct algorithms *algorithms, enum preset preset)
{
	*algorithms = (struct algorithms){.cipher = choices(preset)->cipher,
		.oaep = preset == PRESET_MODERN || preset == PRESET_AUTO};
}

void
algorithms_fini(struct algorithms *algorithms)
{
	certset_fini(&algorithms->v15);
}

/* Nothing announced: every program of the last twenty years opens AES in CBC mode. */
static bool
can_open(const struct reader *reader, const struct choice *choice, enum preset preset)
{
	if (reader->caps.known)
		return smimecaps_has(&reader->caps, choice->cap);
	return preset == PRESET_MODERN || !content_cipher_is_authenticated(choice->cipher);
}

static enum content_cipher
choose_cipher(enum preset preset, const struct reader *readers, size_t n)
{
	for (size_t i = 0; i < N_CHOICES; i++) {
		const struct choice *choice = &choices(preset)[i];
		size_t k = 0;

		while (k < n && can_open(&readers[k], choice, preset))
			k++;
		if (k == n)
			return choice->cipher;
	}
	return CIPHER_AES256_CBC;
}

static bool
has_oaep(const struct reader *reader, enum preset preset)
{
	return reader->caps.known ? smimecaps_has(&reader->caps, SMIMECAP_OAEP_SHA256)
				  : preset == PRESET_MODERN;
}

enum rc
algorithms_choose(struct algorithms *algorithms, enum preset preset, const struct reader *readers,
	size_t n, struct err *err)
{
	enum rc rc = RC_OK;

	algorithms->cipher = choose_cipher(preset, readers, n);
	for (size_t i = 0; rc == RC_OK && i < n; i++) {
		bool v15 = algorithms->oaep && cert_key_type(readers[i].cert) == KEY_RSA &&
			   !has_oaep(&readers[i], preset);

		if (v15 || !can_open(&readers[i], choices(preset), preset))
			algorithms->narrowed++;
		if (v15)
			rc = certset_add(&algorithms->v15, readers[i].cert, err);
	}
	return rc;
}
