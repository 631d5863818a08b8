/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "directory/named.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "directory/select.h"
#include "message/addr.h"

/* Somebody of a domain; nobody's name, so that only what is for everybody is found. */
#define ANYBODY "certificate-check-of-sealgate@"

struct walk {
	struct conf *conf;
	struct trust *trust;
	struct source *store;
	int64_t until;
	void (*say)(void *ctx, const char *text);
	void *ctx;
};

/* Of those of V that can be used (why is ""), and are of TIER or it is 0, the one that lasts
 * longest. */
static const struct candidate *
last_to_end(const struct candidate *v, size_t n, int tier)
{
	const struct candidate *last = NULL;

	for (size_t i = 0; i < n; i++)
		if (v[i].why[0] == '\0' && (!tier || (int)v[i].tier == tier) &&
			(!last || cert_not_after(v[i].cert) > cert_not_after(last->cert)))
			last = &v[i];
	return last;
}

static void
say_end(const struct walk *w, const struct candidate *c, const char *what, const char *whom)
{
	char text[2 * ADDR_MAX + 200], day[CLOCK_TEXT_SIZE];

	if (cert_not_after(c->cert) > w->until)
		return;
	snprintf(text, sizeof(text), "%s %s: %.16s expires on %.10s, and mail will wait then", what,
		whom, cert_fingerprint(c->cert), clock_format(cert_not_after(c->cert), day));
	w->say(w->ctx, text);
}

/* --- pins --- */

/* One address with a pin, as a look-up would judge it. */
static void
warn_pin(const struct walk *w, const char *addr)
{
	struct selection selection;
	struct lookup_result result;
	struct source *store = w->store;
	const struct candidate *last;

	selection_init(&selection, w->trust, addr);
	selection_ask(&selection, &store, 1);
	selection_finish(&selection, &result);
	last = last_to_end(result.v, result.n, TIER_PINNED);
	if (result.rc == RC_TEMP)
		w->say(w->ctx, result.err.detail);
	else if (last)
		say_end(w, last, "pinned for", addr);
	candidates_free(&result.v, result.n);
	selection_fini(&selection);
}

static enum rc
warn_pins(const struct walk *w, struct certstore *store, struct err *err)
{
	struct certrow *rows = NULL;
	size_t n = 0;
	enum rc rc = certstore_pinned(store, &rows, &n, err);

	for (size_t i = 0; rc == RC_OK && i < n; i++)
		if (i == 0 || strcmp(rows[i].addr, rows[i - 1].addr) != 0)
			warn_pin(w, rows[i].addr);
	certrows_free(&rows, n);
	return rc == RC_NONE ? RC_OK : rc;
}

/* --- domain and gateway certificates --- */

/* What a directory may have is not known here. */
static bool
may_be_elsewhere(const struct walk *w, const struct conf_group *item)
{
	return !conf_str(item, "file") && !conf_str(item, "fingerprint") &&
	       conf_count(w->conf, "directories") > 0;
}

static void
warn_domain(const struct walk *w, struct source *source, const struct conf_group *item,
	const char *domain)
{
	char addr[ADDR_MAX + 1];
	struct answer answer = {0};
	struct err why = ERR_INIT;
	const struct candidate *last;
	int len = snprintf(addr, sizeof(addr), ANYBODY "%s%s", *domain == '.' ? "any" : "", domain);
	enum rc rc =
		len < (int)sizeof(addr) ? source->find(source->ctx, addr, &answer, &why) : RC_NONE;

	last = last_to_end(answer.v, answer.n, 0);
	if (last)
		say_end(w, last, "domain_certificates for", domain);
	else if (answer.named.code != ERR_NONE && !may_be_elsewhere(w, item))
		w->say(w->ctx, answer.named.detail);
	else if (rc == RC_TEMP)
		w->say(w->ctx, why.detail);
	answer_fini(&answer);
}

static enum rc
warn_domains(const struct walk *w, struct certstore *store, struct err *err)
{
	size_t count = conf_count(w->conf, "domain_certificates"), n = 0;
	struct source **sources = calloc(count + 1, sizeof(struct source *));
	struct source *asked = w->store;
	enum rc rc = sources ? domain_sources(w->conf, store, w->trust, &asked, 1, sources, &n, err)
			     : err_set(err, ERR_MEMORY, "domain_certificates");

	for (size_t i = 0; rc == RC_OK && i < n; i++)
		for (size_t k = 0; k < sources[i]->n_domains; k++)
			warn_domain(w, sources[i], conf_item(w->conf, "domain_certificates", i),
				sources[i]->domains[k]);
	for (size_t i = 0; i < n; i++)
		source_free(&sources[i]);
	free(sources);
	return rc;
}

enum rc
named_warn(struct conf *conf, struct certstore *store, struct trust *trust, int64_t within,
	void (*say)(void *ctx, const char *text), void *ctx, struct err *err)
{
	int months = (int)conf_int(conf_section(conf, "lookup"), "proof_months");
	struct walk w = {.conf = conf,
		.trust = trust,
		.until = clock_now() + within,
		.say = say,
		.ctx = ctx};
	enum rc rc = source_store_new(store, months, &w.store, err);

	if (rc == RC_OK)
		rc = warn_pins(&w, store, err);
	if (rc == RC_OK)
		rc = warn_domains(&w, store, err);
	source_free(&w.store);
	return rc;
}
