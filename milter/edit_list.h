/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * edit_list.h - the list of header modifications
 *
 * Fields of one name are deleted from the last to the first: MTAs differ in whether the numbers of
 * the later ones move when an earlier one goes.
 */
#ifndef MILTER_EDIT_LIST_H
#define MILTER_EDIT_LIST_H

#include "milter/pipeline.h"

enum rc edit_list_add(struct copy *copy, enum edit_kind kind, const char *name, size_t index,
	const char *value, struct err *err);
/* Deletes every field of HDRS called NAME. */
enum rc
edit_list_delete(struct copy *copy, const struct hdrs *hdrs, const char *name, struct err *err);
/* Content-* and MIME-Version of the message give way to those in CONTENT (Content-* only), and
 * MIME-Version: 1.0; where there was one of the same name, in its place. */
enum rc edit_list_replace_content(
	struct copy *copy, const struct hdrs *hdrs, const struct hdrs *content, struct err *err);
/* Content-* fields of HDRS, in order. OUT is initialised here; hdrs_fini it. */
enum rc content_fields(const struct hdrs *hdrs, struct hdrs *out, struct err *err);
/* HDRS after the edits. OUT is initialised here; hdrs_fini it. */
enum rc edit_list_apply(
	const struct copy *copy, const struct hdrs *hdrs, struct hdrs *out, struct err *err);

#endif
