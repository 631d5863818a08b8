/* SPDX-License-Identifier: BSD-2-Clause */
#include "directory/harvest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "message/authresults.h"

#define MAX_SIGNATURES 50 /* DKIM-Signature fields that are looked at */
#define MAX_FIELDS     50 /* Authentication-Results fields */

/* Labels of NAME; 0: one of them is empty. */
static int
count_labels(const char *name)
{
	int n = 1;

	if (*name == '\0' || *name == '.')
		return 0;
	for (const char *p = name; *p; p++) {
		if (*p != '.')
			continue;
		if (p[1] == '.' || p[1] == '\0')
			return 0;
		n++;
	}
	return n;
}

/*
 * Could anybody register a name right below NAME? There is no list here; of two labels below a
 * country's domain the shorter ones ("co.uk", "ac.jp", "com.au") are taken for such a name, and so
 * is a single label. Too much caution costs a harvest and nothing else.
 */
static bool
is_public(const char *name)
{
	const char *dot = strchr(name, '.');
	int labels = count_labels(name);

	if (labels < 2)
		return true;
	return labels == 2 && strlen(dot + 1) == 2 && dot - name <= 3;
}

/*
 * Strict: the same domain. Relaxed: the signing domain may also be one above the author's, as a
 * university signs for its institutes. Never one beside or below it: who may write mail at
 * "students.example.edu" must not speak for "example.edu".
 */
bool
harvest_is_aligned(const char *signing, const char *domain, bool relaxed)
{
	size_t n = strlen(signing), m = strlen(domain);

	if (count_labels(signing) == 0 || count_labels(domain) == 0)
		return false;
	if (strcmp(signing, domain) == 0)
		return true;
	return relaxed && m > n && domain[m - n - 1] == '.' &&
	       strcmp(domain + m - n, signing) == 0 && !is_public(signing);
}

/* The topmost field of ours that says something of DKIM; false with WHY when there is none to go
 * by. */
static bool
find_results(const struct harvest_conf *conf, const struct hdrs *hdrs, struct authresults *out,
	char why[HARVEST_WHY])
{
	int received = 0, fields = 0;

	for (size_t i = 0; i < hdrs->n; i++) {
		const struct hdr *hdr = &hdrs->v[i];

		if (strcasecmp(hdr->name, "Received") == 0 && ++received > conf->own_received)
			break;
		if (strcasecmp(hdr->name, "Authentication-Results") != 0)
			continue;
		if (++fields > MAX_FIELDS)
			break;
		authresults_read(hdr->value, hdr->value_len, conf->ids, conf->n_ids, out);
		if (out->kind == AUTHRESULTS_UNREADABLE) {
			snprintf(why, HARVEST_WHY,
				"an Authentication-Results field of ours can't be read");
			return false;
		}
		if (out->kind == AUTHRESULTS_OURS && out->n > 0)
			return true;
	}
	snprintf(why, HARVEST_WHY, "our own MTA says nothing of DKIM");
	return false;
}

/* Is there a DKIM-Signature over the whole body that RESULT speaks of? Its domain goes to D. */
static bool
find_signature(const struct hdrs *hdrs, const struct dkim_result *result, char d[256])
{
	struct dkim_signature signature;
	const struct hdr *hdr;

	for (size_t i = 0; i < MAX_SIGNATURES && (hdr = hdrs_find(hdrs, "DKIM-Signature", i));
		i++) {
		if (!dkim_signature_read(hdr->value, hdr->value_len, &signature) ||
			signature.partial || !dkim_result_is_of(result, &signature))
			continue;
		memcpy(d, signature.d, sizeof(signature.d));
		return true;
	}
	return false;
}

bool
harvest_dkim(const struct harvest_conf *conf, const struct hdrs *hdrs, const char *domain,
	char why[HARVEST_WHY])
{
	struct authresults *results;
	char d[256];
	bool good = false, passed = false;

	if (conf->n_ids == 0) {
		snprintf(why, HARVEST_WHY, "harvest.authserv_ids is not set: DKIM is not known");
		return false;
	}
	results = malloc(sizeof(*results));
	if (!results) {
		snprintf(why, HARVEST_WHY, "out of memory");
		return false;
	}
	if (find_results(conf, hdrs, results, why)) {
		for (size_t i = 0; !good && i < results->n; i++) {
			if (!results->dkim[i].pass)
				continue;
			passed = true;
			good = find_signature(hdrs, &results->dkim[i], d) &&
			       harvest_is_aligned(d, domain, conf->relaxed);
		}
		if (!good)
			snprintf(why, HARVEST_WHY,
				passed ? "no good DKIM signature is of the domain %.200s"
				       : "no DKIM signature was found good",
				domain);
	}
	free(results);
	return good;
}
