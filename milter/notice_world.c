/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/notice_world.h"

#include "base/clock.h"
#include "directory/attribute.h"
#include "milter/edit_list.h"
#include "milter/seal.h"
#include "milter/tx.h"

#include <stdlib.h>
#include <string.h>

#define SEND_MS 180000 /* for one submission */

struct notice_world {
	struct engine *engine;
	struct smtp_port *port;    /* borrowed */
	struct attributes *people; /* or NULL */
	int64_t generation;        /* of the store, when it was asked last; one thread's */
};

enum rc
notice_world_new(
	struct engine *engine, struct smtp_port *port, struct notice_world **out, struct err *err)
{
	const struct conf *conf = engine_conf(engine);
	const char *directory = conf_str(conf_section(conf, "notices"), "directory");
	struct notice_world *world = calloc(1, sizeof(*world));
	enum rc rc = RC_OK;

	*out = NULL;
	if (!world)
		return err_set(err, ERR_MEMORY, "notices");
	world->engine = engine_ref(engine);
	world->port = port;
	if (directory)
		rc = attributes_new((struct conf *)conf, directory, &world->people, err);
	if (rc == RC_OK)
		*out = world;
	else
		notice_world_free(&world);
	return rc;
}

void
notice_world_free(struct notice_world **world)
{
	if (!*world)
		return;
	attributes_free(&(*world)->people);
	engine_unref(&(*world)->engine);
	free(*world);
	*world = NULL;
}

bool
notice_world_works(const struct notice_world *world)
{
	const struct conf *conf = engine_conf(world->engine);
	enum role role = engine_role(world->engine);

	if (role == ROLE_SEAL || role == ROLE_ALL ||
		!conf_bool(conf_section(conf, "notices"), "sign"))
		return true;
	for (size_t i = 0; i < conf_count(conf, "services"); i++) {
		const char *other = conf_str(conf_item(conf, "services", i), "role");

		if (strcmp(other, "seal") == 0 || strcmp(other, "all") == 0)
			return false;
	}
	return true;
}

static enum rc
find_language(void *ctx, const char *addr, struct buf *out, struct err *err)
{
	struct notice_world *world = ctx;
	char person[ADDR_MAX + 1];

	if (!world->people)
		return RC_NONE;
	engine_person(world->engine, addr, person);
	return attributes_find(world->people, person, "preferredLanguage", out, err);
}

/* MSG with SEALED in place of its content; SEALED's parts are taken. */
static enum rc
replace_content(struct msg *msg, struct sealed *sealed, struct err *err)
{
	struct hdrs *hdrs = &msg->hdrs;
	enum rc rc = RC_OK;

	for (size_t i = hdrs->n; i-- > 0;)
		if (strncasecmp(hdrs->v[i].name, "Content-", 8) == 0)
			hdrs_remove(hdrs, i);
	for (size_t i = 0; rc == RC_OK && i < sealed->hdrs.n; i++) {
		const struct hdr *hdr = &sealed->hdrs.v[i];

		rc = hdrs_add(hdrs, hdr->name, hdr->name_len, hdr->value, hdr->value_len, err);
	}
	if (rc == RC_OK) {
		spool_free(&msg->body);
		msg->body = sealed->body;
		sealed->body = NULL; /* the message's now */
	}
	return rc;
}

static enum rc
sign_with(struct notice_world *world, const struct vault_signer *signer,
	const struct vault_claim *claim, struct msg *msg, struct err *err)
{
	struct spool_conf spool = engine_spool_conf(world->engine);
	struct seal_signing signing = {.vault = engine_vault(world->engine),
		.signer = signer,
		.signing_time = clock_now(),
		.claim = *claim};
	struct seal_source source = {.content = NULL, .body = msg->body, .spool = &spool};
	struct entity *root = NULL;
	struct sealed sealed = {0};
	struct hdrs content;
	enum rc rc = content_fields(&msg->hdrs, &content, err);

	if (rc == RC_OK)
		rc = mime_parse(&msg->hdrs, msg->body, &root, err);
	if (rc == RC_OK) {
		source.root = root;
		source.content = &content;
		rc = seal_sign_clear(&source, &signing, PRESET_CLASSIC, &sealed, err);
	}
	if (rc == RC_OK)
		rc = replace_content(msg, &sealed, err);
	sealed_fini(&sealed);
	entity_free(&root);
	hdrs_fini(&content);
	return rc;
}

static enum rc
sign(void *ctx, struct msg *msg, const char *from, const char *to, const char *rule,
	struct err *err)
{
	struct notice_world *world = ctx;
	struct vault_signer signer = {0};
	const struct vault_claim claim = {
		.sender = from, .rule = rule, .recipients = &to, .n_recipients = 1};
	enum rc rc = vault_find_signer(engine_vault(world->engine), from, &signer, err);

	if (rc == RC_OK)
		rc = sign_with(world, &signer, &claim, msg, err);
	vault_signer_fini(&signer);
	return rc;
}

static enum rc
look_feed(void *ctx, const void *data, size_t len, struct err *err)
{
	const unsigned char *p = data;
	bool *found = ctx;

	(void)err;
	for (size_t i = 0; !*found && i < len; i++)
		*found = p[i] > 127;
	return RC_OK;
}

static enum rc
write_message(void *ctx, const struct sink *to, struct err *err)
{
	struct sink unfinished = {.feed = to->feed, .ctx = to->ctx};

	return msg_write(ctx, &unfinished, err);
}

/* What the port said about the one recipient. */
static enum rc
judge(const struct smtp_rcpt *rcpt, struct err *err)
{
	if (rcpt->code / 100 == 2)
		return RC_OK;
	err_set(err, ERR_PORT_REFUSED, "the port said %d %s %s", rcpt->code, rcpt->enhanced,
		rcpt->text);
	return rcpt->code / 100 == 5 ? RC_PERM : RC_TEMP;
}

/* NOTIFY=NEVER, for nobody reads a report about a report (RFC 3461 section 6.2). */
static enum rc
send_message(void *ctx, struct msg *msg, const char *to, bool smtputf8, struct err *err)
{
	struct notice_world *world = ctx;
	struct smtp_rcpt rcpt = {.addr = to, .notify = "NEVER"};
	struct smtp_envelope envelope = {
		.sender = "", .smtputf8 = smtputf8, .size = msg_size(msg), .rcpts = &rcpt, .n = 1};
	struct sink look = {.feed = look_feed, .ctx = &envelope.eightbit};
	struct smtp_outcome outcome = {0};
	enum rc rc = msg_write(msg, &look, err);

	if (rc == RC_OK)
		rc = smtp_send(world->port, &envelope, write_message, msg,
			clock_monotonic_ms() + SEND_MS, &outcome, err);
	return rc == RC_OK ? judge(&rcpt, err) : rc;
}

static enum rc
is_known(void *ctx, const char *addr, struct err *err)
{
	struct notice_world *world = ctx;
	struct sources *sources = engine_sources(world->engine);
	const struct lookup_result *found = NULL;
	struct lookup *lookup = NULL;
	char person[ADDR_MAX + 1];
	enum rc rc;

	engine_person(world->engine, addr, person);
	rc = lookup_begin(sources_lookups(sources), person, &lookup, err);
	if (rc == RC_OK)
		rc = lookup_wait(lookup, engine_lookup_timeout(world->engine), &found, err);
	if (rc == RC_OK)
		rc = found->rc;
	lookup_free(&lookup);
	sources_unref(&sources);
	return rc;
}

static bool
has_changed(void *ctx)
{
	struct notice_world *world = ctx;
	int64_t generation = engine_store_generation(world->engine), before = world->generation;

	if (generation >= 0)
		world->generation = generation;
	return generation >= 0 && generation != before;
}

static int64_t
get_now(void *ctx)
{
	(void)ctx;
	return clock_now();
}

void
notice_world_attach(struct notice_world *world, struct notices *notices)
{
	static const struct notice_ops ops = {.language = find_language,
		.sign = sign,
		.send = send_message,
		.known = is_known,
		.now = get_now,
		.changed = has_changed};

	notices_attach(notices, &ops, world);
}
