/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/counter.h"

#include "base/log.h"

#include <ctype.h>
#include <stdatomic.h>
#include <stdio.h>

static atomic_long values[COUNTER_COUNT];

static const char *const names[COUNTER_COUNT] = {
#define COUNTER(name) #name,
#include "base/counters.def"
#undef COUNTER
};

void
counter_add(enum counter which, long n)
{
	atomic_fetch_add_explicit(&values[which], n, memory_order_relaxed);
}

long
counter_get(enum counter which)
{
	return atomic_load_explicit(&values[which], memory_order_relaxed);
}

void
counter_log(void)
{
	char text[COUNTER_COUNT * 48];
	size_t used = 0;

	text[0] = '\0';
	for (int i = 0; i < COUNTER_COUNT; i++) {
		long n = counter_get((enum counter)i);
		size_t start = used;

		if (!n)
			continue;
		used += (size_t)snprintf(
			text + used, sizeof text - used, "%s%s:%ld", used ? "," : "", names[i], n);
		if (used >= sizeof text)
			break;
		for (; start < used; start++)
			text[start] = (char)tolower((unsigned char)text[start]);
	}
	log_event(LOGL_INFO, NULL, "counters", "counts", text, NULL);
}
