/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/ledger_crew.h"

#include <stdlib.h>

/* Takes the next piece that nobody took; NULL: there is none. Call with the lock held. */
static struct ledger_piece *
take_piece(struct ledger_crew *crew)
{
	struct ledger_piece *piece;

	if (crew->next > crew->last || __atomic_load_n(&crew->job->stop, __ATOMIC_RELAXED))
		return NULL;
	piece = calloc(1, sizeof *piece);
	if (!piece)
		return NULL;
	piece->segment = crew->next++;
	piece->kind = ledger_files_kind(crew->files, piece->segment);
	piece->last = piece->segment == crew->last;
	crew->pieces[piece->segment - crew->files->first] = piece;
	return piece;
}

/* Verifies PIECE. Called and left with the lock held, which is free meanwhile. */
static void
do_piece(struct ledger_crew *crew, struct ledger_piece *piece)
{
	pthread_mutex_unlock(&crew->lock);
	ledger_piece_verify(piece, crew->job);
	pthread_mutex_lock(&crew->lock);
	crew->done[piece->segment - crew->files->first] = true;
	pthread_cond_broadcast(&crew->ready);
}

static void *
thread_main(void *arg)
{
	struct ledger_crew *crew = arg;
	struct ledger_piece *piece;

	pthread_mutex_lock(&crew->lock);
	while ((piece = take_piece(crew)))
		do_piece(crew, piece);
	pthread_mutex_unlock(&crew->lock);
	return NULL;
}

struct ledger_piece *
ledger_crew_get(struct ledger_crew *crew, uint64_t segment)
{
	size_t i = segment - crew->files->first;
	struct ledger_piece *piece;

	pthread_mutex_lock(&crew->lock);
	while (!crew->done[i]) {
		piece = take_piece(crew);
		if (piece)
			do_piece(crew, piece);
		else if (!crew->pieces[i])
			break;
		else
			pthread_cond_wait(&crew->ready, &crew->lock);
	}
	piece = crew->pieces[i];
	crew->pieces[i] = NULL;
	pthread_mutex_unlock(&crew->lock);
	return piece;
}

enum rc
ledger_crew_begin(struct ledger_crew *crew, const struct ledger_files *files, uint64_t last,
	struct ledger_piece_job *job, unsigned helpers, struct err *err)
{
	size_t n = last - files->first + 1;

	*crew = (struct ledger_crew){
		.files = files, .last = last, .job = job, .next = files->first};
	pthread_mutex_init(&crew->lock, NULL);
	pthread_cond_init(&crew->ready, NULL);
	crew->pieces = calloc(n, sizeof *crew->pieces);
	crew->done = calloc(n, sizeof *crew->done);
	if (!crew->pieces || !crew->done)
		return err_set(err, ERR_MEMORY, "segments");
	while (crew->n < helpers && crew->n < LEDGER_CREW_MAX &&
		pthread_create(&crew->threads[crew->n], NULL, thread_main, crew) == 0)
		crew->n++;
	return RC_OK;
}

void
ledger_crew_end(struct ledger_crew *crew)
{
	__atomic_store_n(&crew->job->stop, true, __ATOMIC_RELAXED);
	while (crew->n)
		pthread_join(crew->threads[--crew->n], NULL);
	for (uint64_t n = crew->files->first; crew->pieces && n <= crew->last; n++) {
		struct ledger_piece *piece = crew->pieces[n - crew->files->first];

		if (piece)
			ledger_piece_fini(piece);
		free(piece);
	}
	free(crew->pieces);
	free(crew->done);
	pthread_cond_destroy(&crew->ready);
	pthread_mutex_destroy(&crew->lock);
}
