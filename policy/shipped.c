/* SPDX-License-Identifier: BSD-2-Clause */
#include "policy/shipped.h"

#define OUT (DIR_OUTBOUND | DIR_INTERNAL)

/* Bytes that are signed, sealed or meant for a machine: changing them does harm, and a rule that
 * requires encryption came before these. On the way in nothing is changed but what S/MIME itself
 * put around a message, so the exemptions are for the way out. */
#define LEAVE(what, bits)                                                     \
	{                                                                     \
		.name = "shipped-" what, .directions = OUT, .classes = (bits) \
	}

static const struct rule rules[] = {
	{.name = "shipped-signed",
		.directions = OUT,
		.classes = CLASS_SIGNED | CLASS_ENVELOPED,
		.sealed = AUTH_YES},
	LEAVE("pgp", CLASS_PGP),
	LEAVE("calendar", CLASS_CALENDAR),
	LEAVE("tnef", CLASS_TNEF),
	LEAVE("report", CLASS_REPORT),
	LEAVE("list", CLASS_LIST),
	{.name = "shipped-to-list", .directions = OUT, .to_list = true},
	LEAVE("auto-reply", CLASS_AUTO_REPLY),
	LEAVE("dkim", CLASS_DKIM_OWN),
	{.name = "shipped-outbound",
		.directions = DIR_OUTBOUND,
		.authorised = AUTH_YES,
		.verdicts = {.sign = SIGN_IF_POSSIBLE, .encrypt = ENCRYPT_IF_PROVEN}},
	{.name = "shipped-internal",
		.directions = DIR_INTERNAL,
		.authorised = AUTH_YES,
		.verdicts = {.sign = SIGN_IF_POSSIBLE}},
	{.name = "shipped-inbound",
		.directions = DIR_INBOUND,
		.verdicts = {.open = true,
			.verify = true,
			.on_bad_signature = TROUBLE_MARK,
			.on_unauthenticated = TROUBLE_MARK}},
	{.name = "shipped-rest"},
};

const struct rule *
shipped_rules(size_t *count)
{
	*count = sizeof(rules) / sizeof(*rules);
	return rules;
}
