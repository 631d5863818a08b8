/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * callbacks.c - libmilter's callbacks, translated into calls of session.h
 *
 * Nothing is decided here. A callback that finds no session (a peer that skipped the negotiation,
 * no memory) defers. libmilter hands a session from thread to thread, so all state hangs on it.
 */
#include "milter/callbacks.h"
#include "base/log.h"
#include "milter/bundle.h"
#include "milter/edits.h"
#include "milter/listen.h"
#include "milter/session.h"

#include <libmilter/mfapi.h>

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* libmilter gives its callbacks nothing of ours, so this one pointer is static. Set once. */
static struct daemon *the_daemon;

/* What is always needed to seal and open; an MTA without it can't be served. */
#define NEEDED_ACTIONS (SMFIF_ADDHDRS | SMFIF_CHGHDRS | SMFIF_CHGBODY | SMFIF_CHGFROM)
/* Steps that tell us nothing, and steps whose answer nobody needs to wait for. */
#define UNWANTED_STEPS (SMFIP_NODATA | SMFIP_NOEOH | SMFIP_NOUNKNOWN)
#define WANTED_OPTIONS                                                                  \
	(SMFIP_NR_CONN | SMFIP_NR_HELO | SMFIP_NR_MAIL | SMFIP_NR_HDR | SMFIP_NR_BODY | \
		SMFIP_HDR_LEADSPC)

#define DATA_MAX (1u << 20)

/* Does a right depend on the client's certificate? */
static bool
wants_certs(void)
{
	struct outlet *outlet;
	struct engine *engine = daemon_engine(the_daemon, &outlet);
	bool wants = conf_count(engine_conf(engine), "connectors") > 0;

	outlet_unref(&outlet);
	engine_unref(&engine);
	return wants;
}

/* Only the macros that are used: each more is a longer packet for each command. */
static void
ask_for_macros(SMFICTX *ctx, unsigned long actions)
{
	char mail[] = "i {auth_authen} {mail_addr}", end[] = "i";
	char cert[] = "i {auth_authen} {mail_addr} {cert_subject} {cert_issuer} {verify}";

	if (!(actions & SMFIF_SETSYMLIST))
		return;
	smfi_setsymlist(ctx, SMFIM_ENVFROM, wants_certs() ? cert : mail);
	smfi_setsymlist(ctx, SMFIM_ENVRCPT, end);
	smfi_setsymlist(ctx, SMFIM_EOM, end);
}

static sfsistat
on_negotiate(SMFICTX *ctx, unsigned long actions, unsigned long steps, unsigned long f2,
	unsigned long f3, unsigned long *my_actions, unsigned long *my_steps, unsigned long *my_f2,
	unsigned long *my_f3)
{
	struct session *session;

	(void)f2, (void)f3;
	if (!listen_check_peers(daemon_service(the_daemon), daemon_minder(the_daemon)))
		return SMFIS_REJECT;
	if ((actions & NEEDED_ACTIONS) != NEEDED_ACTIONS) {
		log_event(LOGL_ERROR, NULL, "mta-too-old", "service",
			daemon_service(the_daemon)->name, "actions", LOG_NUM(actions), NULL);
		return SMFIS_REJECT;
	}
	if (smfi_getpriv(ctx))
		return SMFIS_REJECT; /* negotiated twice */
	session = session_new(the_daemon, steps & SMFIP_HDR_LEADSPC, actions);
	if (!session || smfi_setpriv(ctx, session) != MI_SUCCESS) {
		session_free(&session);
		return SMFIS_REJECT;
	}
	minder_count(daemon_minder(the_daemon), 1);
	ask_for_macros(ctx, actions);
	*my_actions = NEEDED_ACTIONS;
	/* the NR_ options are offered to us in any case: libmilter makes up for old MTAs */
	*my_steps = UNWANTED_STEPS | (steps & WANTED_OPTIONS);
	if (!daemon_has_outlet(the_daemon)) /* nobody would be told the client's name */
		*my_steps |= steps & SMFIP_NOHELO;
	*my_f2 = *my_f3 = 0;
	return SMFIS_CONTINUE;
}

static sfsistat
on_connect(SMFICTX *ctx, char *host, _SOCK_ADDR *addr)
{
	struct session *session = smfi_getpriv(ctx);
	char name[] = "j";

	if (session)
		session_connect(
			session, (const struct sockaddr *)addr, host, smfi_getsymval(ctx, name));
	return SMFIS_NOREPLY;
}

static sfsistat
on_helo(SMFICTX *ctx, char *helo)
{
	struct session *session = smfi_getpriv(ctx);

	if (session)
		session_helo(session, helo);
	return SMFIS_NOREPLY;
}

/* Percent signs are doubled: libmilter's MTAs take the text for a format. */
static void
double_percents(const char *text, char *out, size_t size)
{
	size_t n = 0;

	for (; *text && n + 3 < size; text++) {
		out[n++] = *text;
		if (*text == '%')
			out[n++] = '%';
	}
	out[n] = '\0';
}

/* The callback's value for REPLY. */
static sfsistat
answer(SMFICTX *ctx, const struct reply *reply)
{
	char code[4], enhanced[sizeof reply->enhanced], text[2 * sizeof reply->text];

	if (reply->code == 0)
		return SMFIS_CONTINUE;
	if (reply->code < 400 || reply->code > 599)
		return SMFIS_TEMPFAIL; /* our own mistake, never an acceptance */
	snprintf(code, sizeof code, "%d", reply->code);
	snprintf(enhanced, sizeof enhanced, "%s", reply->enhanced);
	double_percents(reply->text, text, sizeof text);
	if (smfi_setreply(ctx, code, enhanced[0] ? enhanced : NULL, text) != MI_SUCCESS)
		log_event(LOGL_ERROR, NULL, "reply-not-set", "code", code, "enhanced", enhanced,
			NULL);
	return reply->code < 500 ? SMFIS_TEMPFAIL : SMFIS_REJECT;
}

/*
 * libmilter drops a packet of macros that it finds no memory for, and goes on. Then nobody seems to
 * have logged in, and their mail would leave unsealed. MTAs give {mail_addr} with every MAIL: one
 * without is deferred, once this MTA gave it.
 */
static bool
lost_macros(SMFICTX *ctx)
{
	static atomic_bool given;
	char name[] = "{mail_addr}";

	if (smfi_getsymval(ctx, name)) {
		atomic_store(&given, true);
		return false;
	}
	if (!atomic_load(&given))
		return false;
	log_event(
		LOGL_WARN, NULL, "macros-lost", "service", daemon_service(the_daemon)->name, NULL);
	return true;
}

static sfsistat
on_mail(SMFICTX *ctx, char **argv)
{
	struct session *session = smfi_getpriv(ctx);
	char name[] = "{auth_authen}", subject[] = "{cert_subject}", issuer[] = "{cert_issuer}";
	char verify[] = "{verify}";
	struct client_cert cert = {0};

	if (!session) /* on_rcpt defers */
		return SMFIS_NOREPLY;
	if (lost_macros(ctx)) {
		session_no_mail(session);
		return SMFIS_NOREPLY;
	}
	cert.subject = smfi_getsymval(ctx, subject);
	cert.issuer = smfi_getsymval(ctx, issuer);
	cert.verify = smfi_getsymval(ctx, verify);
	session_mail(session, argv, smfi_getsymval(ctx, name), &cert);
	return SMFIS_NOREPLY;
}

static sfsistat
on_rcpt(SMFICTX *ctx, char **argv)
{
	struct session *session = smfi_getpriv(ctx);
	struct reply reply = {0};

	if (!session)
		return SMFIS_TEMPFAIL;
	session_rcpt(session, argv, &reply);
	return answer(ctx, &reply);
}

static sfsistat
on_header(SMFICTX *ctx, char *name, char *value)
{
	struct session *session = smfi_getpriv(ctx);

	if (session)
		session_header(session, name, value);
	return SMFIS_NOREPLY;
}

static sfsistat
on_body(SMFICTX *ctx, unsigned char *data, size_t len)
{
	struct session *session = smfi_getpriv(ctx);

	if (session)
		session_body(session, data, len);
	return SMFIS_NOREPLY;
}

static enum rc
feed_body(void *ctx, const void *data, size_t len, struct err *err)
{
	if (smfi_replacebody(ctx, (unsigned char *)(uintptr_t)data, (int)len) != MI_SUCCESS)
		return err_set(err, ERR_SYSTEM, "the MTA did not take the new body");
	return RC_OK;
}

static enum rc
apply_body(SMFICTX *ctx, const struct copy *copy, struct err *err)
{
	struct sink sink = {.feed = feed_body, .ctx = ctx};
	uint64_t size;

	if (!copy->body)
		return RC_OK;
	size = spool_size(copy->body);
	if (size == 0) /* nothing sent would mean: unchanged */
		return feed_body(ctx, "", 0, err);
	return spool_send(copy->body, 0, size, &sink, err);
}

/* An MTA that puts the blank after the colon itself must not get ours as well. */
static char *
edit_value(const struct session *session, const struct edit *edit)
{
	char *value = edit->value;

	return value && !session_leadspc(session) && value[0] == ' ' ? value + 1 : value;
}

static enum rc
apply_edit(SMFICTX *ctx, const struct session *session, const struct edit *edit, struct err *err)
{
	char *value = edit_value(session, edit);
	int done = MI_FAILURE;

	switch (edit->kind) {
	case EDIT_DELETE:
		done = smfi_chgheader(ctx, edit->name, (int)edit->index, NULL);
		break;
	case EDIT_CHANGE:
		done = smfi_chgheader(ctx, edit->name, (int)edit->index, value);
		break;
	case EDIT_INSERT:
		done = smfi_insheader(ctx, (int)edit->index, edit->name, value);
		break;
	case EDIT_ADD:
		done = smfi_addheader(ctx, edit->name, value);
		break;
	}
	return done == MI_SUCCESS
		       ? RC_OK
		       : err_set(err, ERR_SYSTEM, "the MTA did not take an edit of %s", edit->name);
}

static enum rc
apply_ret(SMFICTX *ctx, const struct session *session, const char *ret, struct err *err)
{
	struct buf args = BUF_INIT(2000);
	char *sender = NULL;
	enum rc rc;

	if (!ret)
		return RC_OK;
	rc = session_ret_args(session, ret, &args, err);
	if (rc == RC_OK && asprintf(&sender, "%s", session_sender(session)) < 0)
		rc = err_set(err, ERR_MEMORY, "sender");
	if (rc == RC_OK && smfi_chgfrom(ctx, sender, args.data) != MI_SUCCESS)
		rc = err_set(err, ERR_SYSTEM, "the MTA did not take RET=");
	free(sender);
	buf_fini(&args);
	return rc;
}

/* Body, header fields in the order of the list, envelope. A failure defers the message, and then
 * the MTA drops what it has got already. */
static enum rc
apply(SMFICTX *ctx, const struct session *session, const struct copy *copy, struct err *err)
{
	enum rc rc;

	bundle_begin();
	rc = apply_body(ctx, copy, err);
	for (size_t i = 0; rc == RC_OK && i < copy->n_edits; i++)
		rc = apply_edit(ctx, session, &copy->edits[i], err);
	if (rc == RC_OK)
		rc = apply_ret(ctx, session, copy->new_ret, err);
	return rc;
}

/* The MTA is told by the minder's thread; the task is over before anybody else writes. */
static void
still_at_it(void *ctx)
{
	smfi_progress(ctx);
}

static sfsistat
on_end(SMFICTX *ctx)
{
	struct session *session = smfi_getpriv(ctx);
	struct minded task = {.still_at_it = still_at_it, .ctx = ctx};
	struct minder *minder = daemon_minder(the_daemon);
	struct reply reply = {0};
	struct result *result;
	struct err err = ERR_INIT;
	char name[] = "i";
	sfsistat status;

	if (!session)
		return SMFIS_TEMPFAIL;
	minder_begin(minder, &task);
	result = session_finish(session, smfi_getsymval(ctx, name), &task, &reply);
	minder_end(minder, &task);
	if (!result && reply.discard) {
		status = SMFIS_DISCARD;
	} else if (!result) {
		status = answer(ctx, &reply);
		status = status == SMFIS_CONTINUE ? SMFIS_TEMPFAIL : status;
	} else if (apply(ctx, session, result->copies, &err) == RC_OK) {
		status = SMFIS_CONTINUE;
	} else {
		log_error(LOGL_WARN, session_qid(session), "deferred", &err, NULL);
		status = SMFIS_TEMPFAIL;
	}
	result_free(&result);
	session_reset(session);
	return status;
}

static sfsistat
on_abort(SMFICTX *ctx)
{
	struct session *session = smfi_getpriv(ctx);

	if (session)
		session_reset(session);
	return SMFIS_CONTINUE;
}

static sfsistat
on_close(SMFICTX *ctx)
{
	struct session *session = smfi_getpriv(ctx);

	if (!session)
		return SMFIS_CONTINUE; /* a kick, or a peer that never negotiated */
	smfi_setpriv(ctx, NULL);
	session_free(&session);
	minder_count(daemon_minder(the_daemon), -1);
	return SMFIS_CONTINUE;
}

enum rc
callbacks_register(struct daemon *daemon, struct err *err)
{
	static char name[] = "sealgate";
	struct smfiDesc desc = {.xxfi_name = name,
		.xxfi_version = SMFI_VERSION,
		.xxfi_flags = NEEDED_ACTIONS,
		.xxfi_connect = on_connect,
		.xxfi_helo = on_helo,
		.xxfi_envfrom = on_mail,
		.xxfi_envrcpt = on_rcpt,
		.xxfi_header = on_header,
		.xxfi_body = on_body,
		.xxfi_eom = on_end,
		.xxfi_abort = on_abort,
		.xxfi_close = on_close,
		.xxfi_negotiate = on_negotiate};

	/* Else a field past 64 KB, which an MTA may take, ends the connection, and the message
	 * waits for ever. */
	(void)smfi_setmaxdatasize(DATA_MAX);
	the_daemon = daemon;
	if (smfi_register(desc) != MI_SUCCESS)
		return err_set(err, ERR_SYSTEM, "smfi_register failed");
	return RC_OK;
}
