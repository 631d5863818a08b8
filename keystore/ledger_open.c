/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/ledger_private.h"

#include "base/log.h"
#include "keystore/ledger_retire.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* The first segment of a new ledger. */
static enum rc
found_ledger(struct ledger *ledger, struct err *err)
{
	enum rc rc = ledger_signer_make(&ledger->epoch, &ledger->keys, 1, err);

	memcpy(ledger->at.hash, LEDGER_ZERO_HASH, LEDGER_HASH_SIZE);
	if (rc == RC_OK)
		rc = ledger_begin_segment(ledger, 1, &ledger->at, err);
	if (rc == RC_OK)
		rc = ledger_checkpoint(ledger, err);
	return rc;
}

/* Says in the ledger what was cut off, and makes an announcement void whose checkpoint was lost. */
static enum rc
record_recovery(struct ledger *ledger, const struct ledger_torn *torn, struct err *err)
{
	struct ledger_group group;
	char hash[LEDGER_HASH_SIZE];
	enum rc rc = RC_OK;

	ledger_group_init(&group, ledger);
	if (torn->found)
		memcpy(hash, torn->hash, sizeof hash);
	else
		rc = ledger_hash("", 0, hash, err);
	if (rc == RC_OK)
		rc = ledger_body_recovered(
			&group.text, torn->segment, torn->offset, torn->bytes, hash, err);
	if (rc == RC_OK) {
		group.parts[0].type = LEDGER_RECOVERED;
		group.parts[0].len = (uint32_t)group.text.len;
		group.n = 1;
		rc = ledger_write_batch(ledger, &group, 0, &ledger->at, err);
	}
	ledger_group_fini(&group);
	if (rc == RC_OK && torn->found)
		log_event(LOGL_WARN, NULL, "ledger-recovered", "segment", LOG_NUM(torn->segment),
			"bytes", LOG_NUM(torn->bytes), NULL);
	return rc;
}

/* Goes on where the ledger ends. */
static enum rc
continue_ledger(struct ledger *ledger, const struct ledger_chain *chain,
	const struct ledger_torn *torn, struct err *err)
{
	enum rc rc;

	if (strcmp(chain->node, ledger->node) != 0)
		return err_set(err, ERR_CONFIG, "%s: this is the ledger of node %s, not of %s",
			ledger->file.dir, chain->node, ledger->node);
	rc = ledger_signer_load(&ledger->epoch, &ledger->keys, &chain->epoch, err);
	if (rc)
		return rc;
	ledger->at.seq = chain->seq;
	memcpy(ledger->at.hash, chain->hash, sizeof ledger->at.hash);
	ledger->at.last_checkpoint = chain->last_checkpoint;
	ledger->at.since = chain->seq - chain->last_checkpoint - (chain->last_checkpoint ? 1 : 0);
	ledger->at.anchor = chain->anchor;
	ledger->destroy = chain->epoch.number - 1;
	if (torn->found || chain->next.number)
		rc = record_recovery(ledger, torn, err);
	if (ledger->at.since)
		ledger->uncovered_since = clock_monotonic_ms();
	ledger->full = ledger->file.size >= ledger->segment_size;
	ledger->segment_since = chain->opened;
	return rc == RC_OK ? ledger_retire_resume(ledger, err) : rc;
}

/* Locks, conditions and limits of a new struct. */
static enum rc
set_up(struct ledger *ledger, const struct ledger_options *options, struct err *err)
{
	pthread_condattr_t attr;

	ledger->tail = &ledger->head;
	ledger->file.fd = ledger->file.lock_fd = -1;
	ledger->keys = options->keys;
	pthread_mutex_init(&ledger->lock, NULL);
	pthread_mutex_init(&ledger->retiring, NULL);
	buf_init(&ledger->out, 8u << 20);
	pthread_cond_init(&ledger->idle, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&ledger->wake, &attr);
	pthread_condattr_destroy(&attr);
	if (pseudonyms_init(&ledger->pseudonyms, err))
		return RC_TEMP;
	if (!ledger_node_ok(options->node))
		return err_set(err, ERR_CONFIG, "a bad name for the ledger's node");
	strcpy(ledger->node, options->node);
	ledger->segment_size = options->segment_size ? options->segment_size : 64 << 20;
	ledger->checkpoint_records =
		options->checkpoint_records ? options->checkpoint_records : 1000;
	ledger->checkpoint_ms =
		1000 * (options->checkpoint_interval ? options->checkpoint_interval : 3600);
	ledger->epoch_interval = options->epoch_interval ? options->epoch_interval : 86400;
	ledger->segment_age = options->segment_age;
	ledger->keep = options->keep;
	ledger->warn_free = options->warn_free;
	ledger->reserve = options->reserve;
	return RC_OK;
}

/* Frees everything; the keeper has stopped. */
static void
tear_down(struct ledger *ledger)
{
	struct ledger_group *group;

	while ((group = ledger->head)) {
		ledger->head = group->next;
		ledger_group_free(&group);
	}
	buf_fini(&ledger->out);
	ledger_signer_fini(&ledger->epoch);
	ledger_signer_fini(&ledger->next);
	pseudonyms_fini(&ledger->pseudonyms);
	ledger_file_close(&ledger->file);
	pthread_cond_destroy(&ledger->wake);
	pthread_cond_destroy(&ledger->idle);
	pthread_mutex_destroy(&ledger->retiring);
	pthread_mutex_destroy(&ledger->lock);
	free(ledger);
}

enum rc
ledger_open(const struct ledger_options *options, struct ledger **out, struct err *err)
{
	struct ledger *ledger = calloc(1, sizeof *ledger);
	struct ledger_chain chain;
	struct ledger_torn torn;
	enum rc rc;

	*out = NULL;
	if (!ledger)
		return err_set(err, ERR_MEMORY, "ledger");
	rc = set_up(ledger, options, err);
	if (rc == RC_OK)
		rc = ledger_file_open(
			&ledger->file, options->dir, &options->disk, options->create, err);
	if (rc == RC_OK) {
		rc = ledger_file_recover(&ledger->file, &chain, &torn, err);
		if (rc == RC_OK && options->create)
			rc = err_set(err, ERR_LEDGER_BROKEN, "%s: there is a ledger already",
				options->dir);
		else if (rc == RC_OK)
			rc = continue_ledger(ledger, &chain, &torn, err);
		else if (rc == RC_NONE && options->create)
			rc = found_ledger(ledger, err);
		else if (rc == RC_NONE)
			rc = err_set(err, ERR_LEDGER_BROKEN, "%s: there is no ledger here",
				options->dir);
	}
	if (rc == RC_OK)
		ledger_look_at_room(ledger);
	if (rc == RC_OK && pthread_create(&ledger->keeper, NULL, ledger_keeper_main, ledger))
		rc = err_set(err, ERR_SYSTEM, "no thread for the ledger");
	if (rc) {
		tear_down(ledger);
		return rc;
	}
	ledger->keeper_runs = true;
	*out = ledger;
	return RC_OK;
}

enum rc
ledger_close(struct ledger **ledger, struct err *err)
{
	enum rc rc;

	if (!*ledger)
		return RC_OK;
	pthread_mutex_lock(&(*ledger)->lock);
	(*ledger)->stopping = true;
	pthread_cond_signal(&(*ledger)->wake);
	pthread_mutex_unlock(&(*ledger)->lock);
	pthread_join((*ledger)->keeper, NULL);
	rc = ledger_checkpoint(*ledger, err);
	tear_down(*ledger);
	*ledger = NULL;
	return rc;
}
