/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * delivery_sim.h - the simulated world around delivery.c; see delivery_prop.c
 */
#ifndef TESTS_DELIVERY_SIM_H
#define TESTS_DELIVERY_SIM_H

#include "milter/delivery.h"

#include <sys/stat.h>

#define MAX_RCPT 10
#define DAEMONS  2
#define DAY      86400
#define MAX_AGE  (5 * DAY)

/* One recipient of one message, as nobody but the simulation sees it. */
struct person {
	char addr[24];
	bool held;                /* the client has not been told yet */
	bool hopeless;            /* the port refuses it for good */
	uint64_t got, got_opened; /* last acceptance, and when that try had begun; 0: none */
	bool got_recorded;        /* it is in the journal */
	uint64_t reported, reported_opened;
	bool reported_recorded;
	uint64_t forgotten; /* the journal removed the row */
	uint64_t final;     /* the client was told */
	int64_t touched;    /* when the journal last wrote the row */
	unsigned accepted;  /* how often */
};

struct mail {
	unsigned number;
	struct delivery_key key;
	char sender[24], id[32], envid[16];
	struct person people[MAX_RCPT];
	size_t n;
	int64_t born, next;
	int64_t wait;
	unsigned tries;
	bool impatient; /* a retry comes while the first try is still going on */
};

struct process {
	struct journal *journal;
	bool dead;
	unsigned running; /* tries on its stack */
};

/* One try. */
struct attempt {
	struct mail *mail;
	struct process *process;
	struct delivery *delivery;
	struct delivery_rcpt rcpts[2 * MAX_RCPT];
	size_t person[2 * MAX_RCPT]; /* whose index */
	bool encrypted[2 * MAX_RCPT];
	size_t n;
	bool copy_encrypted[2 * MAX_RCPT];
	uint64_t opened;
	int made;  /* which copy is at hand; -1: none */
	int depth; /* of tries within tries */
	bool closing, telling;
	bool unrecorded;         /* somebody accepted that is not in the journal */
	bool just_got[MAX_RCPT]; /* accepted or reported since the last durable step */
	struct attempt *outer;
};

struct world {
	uint64_t seed, state;
	uint64_t seq;     /* counts events */
	uint64_t lost;    /* when the journal was last replaced */
	struct stat file; /* the journal's */
	int64_t now;
	unsigned epoch; /* of the rules */
	bool port_down;
	bool storm;          /* everything fails more often */
	struct attempt *top; /* innermost try */
	struct process processes[DAEMONS];
	char dir[64], path[96];
	unsigned long tries, accepted, duplicates, kills, doubts, losses, reports, refusals,
		bounces;
	unsigned long finals, busy, known, again;
	int violations;
};
extern struct world world;

uint64_t rnd(void);
/* True N times in a hundred thousand, ten times as often in a storm. */
bool chance(unsigned n);
void start_process(struct process *process);
/* The client's next try, at once. DEPTH: of tries within tries. */
void try_mail(struct mail *mail, int depth);

#endif
