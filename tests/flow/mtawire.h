/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mtawire.h - packets of the milter protocol, and what is shared by the parts of the test MTA
 */
#ifndef TESTS_FLOW_MTAWIRE_H
#define TESTS_FLOW_MTAWIRE_H

#include "tests/flow/mtaclient.h"

#define CHUNK      65535u
#define OUT_SIZE   8192u /* flushed when full or before an answer is awaited, as Postfix does */
#define MAX_PACKET (1u << 20)
#define MTA_STAGES "CHMRTEN" /* in the order of SMFIM_* */

/* Bits of the protocol mask: commands not wanted, answers not given. */
enum {
	P_NO_CONNECT = 0x1,
	P_NO_HELO = 0x2,
	P_NO_MAIL = 0x4,
	P_NO_RCPT = 0x8,
	P_NO_BODY = 0x10,
	P_NO_HDRS = 0x20,
	P_NO_EOH = 0x40,
	P_NR_HDR = 0x80,
	P_NO_DATA = 0x200,
	P_CAN_SKIP = 0x400,
	P_NR_CONN = 0x1000,
	P_NR_HELO = 0x2000,
	P_NR_MAIL = 0x4000,
	P_NR_RCPT = 0x8000,
	P_NR_DATA = 0x10000,
	P_NR_EOH = 0x40000,
	P_NR_BODY = 0x80000,
	P_LEADSPC = 0x100000
};

struct mta {
	const struct mta_options *options;
	int fd;
	uint32_t protocol, actions;
	char *symlist[7]; /* by stage: C H M R T E N, as the milter asked */
	unsigned char out[OUT_SIZE];
	size_t out_len;
	unsigned char in[65536];
	size_t in_at, in_len;
	unsigned char *packet; /* the last answer's data, a NUL behind it */
	size_t packet_len;
	int64_t sent;
	bool dead;
	bool injected;
	char why[200];
	unsigned serial;
	size_t body_cap; /* room in the replaced body */
};

/* Marks the connection as gone; the first reason stays. Always false. */
bool mta_lose(struct mta *mta, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The socket of "unix:PATH" or "inet:PORT@ADDRESS", or -1. */
int mta_connect(const char *socket, char why[200]);
/* Writes come out at the next read; false: the connection is gone. */
bool mta_put_packet(struct mta *mta, char cmd, const void *data, size_t len);
bool mta_flush(struct mta *mta);
/* Reads one packet; its letter, or 0 when the connection is lost. */
char mta_get_packet(struct mta *mta);
uint32_t mta_get32(const unsigned char *p); /* big endian */
bool mta_negotiate(struct mta *mta);
/* Applies one modification to the message; false: it broke the protocol. */
bool mta_apply(struct mta *mta, struct mta_message *message, struct mta_reply *reply, char action);

#endif
