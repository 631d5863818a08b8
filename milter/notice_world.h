/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * notice_world.h - what notices need of the outside: directory, vault, certificates, the port
 */
#ifndef MILTER_NOTICE_WORLD_H
#define MILTER_NOTICE_WORLD_H

#include "milter/notice_work.h"
#include "milter/pipeline.h"
#include "milter/smtp.h"

struct notice_world;
/* A reference of ENGINE is taken; PORT is borrowed. ERR_CONFIG: no such directory. */
enum rc notice_world_new(
	struct engine *engine, struct smtp_port *port, struct notice_world **out, struct err *err);
void notice_world_free(struct notice_world **world);
/* NOTICES uses WORLD from now on; before the first use by other threads. */
void notice_world_attach(struct notice_world *world, struct notices *notices);
/* Is it this service that works off the outbox? One that may not sign leaves what is to be signed
 * to another one of the configuration that may. */
bool notice_world_works(const struct notice_world *world);

#endif
