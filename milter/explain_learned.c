/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/explain_learned.h"

#include "base/clock.h"
#include "milter/learn.h"

#include <stdio.h>

bool
explain_caps(const struct smimecaps *caps, char line[EXPLAIN_LEARNED_SIZE])
{
	struct buf words = BUF_INIT(0);
	char since[CLOCK_TEXT_SIZE];
	bool there = caps->known && smimecaps_format(caps, &words, NULL) == RC_OK;

	if (there)
		snprintf(line, EXPLAIN_LEARNED_SIZE, "says that it opens %s%s%.10s",
			buf_text(&words), caps->since ? ", since " : "",
			caps->since ? clock_format(caps->since, since) : "");
	buf_fini(&words);
	return there;
}

/* "on", "observe": what the section says. */
static const char *
mode_word(const struct transaction *tx)
{
	return conf_str(conf_section(engine_conf(tx->engine), "harvest"), "mode");
}

static const char *
why_of(const struct learned *learned)
{
	return learned->err.code != ERR_NONE ? learned->err.detail : learned->result.why;
}

size_t
explain_learned(
	const struct transaction *tx, char lines[EXPLAIN_LEARNED_LINES][EXPLAIN_LEARNED_SIZE])
{
	const struct learned *learned = tx->learned;
	const struct harvest_offer *offer;
	size_t n = 0;

	if (!learned || learned->ours)
		return 0;
	offer = &learned->offer;
	snprintf(lines[n++], EXPLAIN_LEARNED_SIZE, "The author's certificate (harvest.mode %s)",
		mode_word(tx));
	snprintf(lines[n++], EXPLAIN_LEARNED_SIZE, "%s%s%s",
		learned->err.code != ERR_NONE ? "could not be told"
					      : harvest_outcome_words(learned->result.outcome),
		*why_of(learned) ? ": " : "", why_of(learned));
	if (!offer->cert)
		return n;
	snprintf(lines[n++], EXPLAIN_LEARNED_SIZE, "%.16s for %s", cert_fingerprint(offer->cert),
		offer->addr);
	snprintf(lines[n++], EXPLAIN_LEARNED_SIZE, "%s", cert_subject(offer->cert));
	n += explain_caps(&offer->caps, lines[n]);
	return n;
}

void
explain_learned_json(const struct transaction *tx, struct json *json)
{
	const struct learned *learned = tx->learned;

	if (!learned || learned->ours)
		return;
	json_object(json, "harvest");
	json_str(json, "mode", mode_word(tx));
	json_str(json, "outcome",
		learned->err.code != ERR_NONE ? "temperror"
					      : harvest_outcome_name(learned->result.outcome));
	json_str(json, "why", *why_of(learned) ? why_of(learned) : NULL);
	json_str(json, "address", *learned->offer.addr ? learned->offer.addr : NULL);
	json_str(
		json, "sha256", learned->offer.cert ? cert_fingerprint(learned->offer.cert) : NULL);
	smimecaps_json(&learned->offer.caps, json);
	json_object_end(json);
}
