/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/token_trouble.h"

#include <string.h>

static struct token_trouble *
find(struct token_troubles *t, const struct token_uri *uri)
{
	for (size_t i = 0; i < t->n; i++)
		if (strcmp(t->v[i].uri.object, uri->object) == 0 &&
			t->v[i].uri.id_len == uri->id_len &&
			memcmp(t->v[i].uri.id, uri->id, uri->id_len) == 0)
			return &t->v[i];
	return NULL;
}

static int64_t
wait_of(const struct token_trouble *trouble)
{
	int64_t ms = TROUBLE_MS;

	if (trouble->count < 2)
		return 0;
	for (unsigned i = 2; i < trouble->count && ms < TROUBLE_MAX_MS; i++)
		ms *= 2;
	return ms < TROUBLE_MAX_MS ? ms : TROUBLE_MAX_MS;
}

int64_t
troubles_wait(struct token_troubles *t, const struct token_uri *uri, int64_t now)
{
	struct token_trouble *trouble = find(t, uri);

	if (!trouble)
		return 0;
	if (now < trouble->until)
		return trouble->until - now;
	trouble->until = now + wait_of(trouble);
	return 0;
}

void
troubles_note(struct token_troubles *t, const struct token_uri *uri, uint64_t serial, int64_t now)
{
	struct token_trouble *trouble = find(t, uri);

	if (trouble && serial && trouble->serial == serial)
		return;
	if (!trouble && t->n < TROUBLES_MAX) {
		trouble = &t->v[t->n++];
		*trouble = (struct token_trouble){.uri = *uri};
	} else if (!trouble) {
		trouble = t->v;
		for (size_t i = 1; i < t->n; i++)
			if (t->v[i].noted < trouble->noted)
				trouble = &t->v[i];
		*trouble = (struct token_trouble){.uri = *uri};
	}
	trouble->count++;
	trouble->serial = serial;
	trouble->noted = now;
	trouble->until = now + wait_of(trouble);
}

void
troubles_clear(struct token_troubles *t, const struct token_uri *uri)
{
	struct token_trouble *trouble = find(t, uri);

	if (trouble)
		*trouble = t->v[--t->n];
}
