/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * proto_fuzz.c - the vault's frames: fields lie in the frame, and what was parsed, written again,
 * is the same bytes
 */
#include "tests/fuzz/fuzz.h"

#include "keystore/proto.h"

#include <string.h>

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf again = BUF_INIT(PROTO_MAX_ADMIN + 1);
	struct err err = ERR_INIT;
	struct proto_writer w;
	struct proto_msg msg;
	size_t frame;

	if (proto_frame_len(data, size, PROTO_MAX_FRAME, &frame, &err) == RC_OK && frame)
		FUZZ_CHECK(frame >= PROTO_HEAD && frame <= PROTO_MAX_FRAME);
	if (proto_parse(data, size, &msg, &err) != RC_OK) {
		FUZZ_CHECK(err.code == ERR_VAULT_PROTOCOL || err.code == ERR_MEMORY);
		return 0;
	}
	proto_begin(&w, &again, msg.type, msg.id);
	for (size_t i = 0; i < msg.n; i++) {
		const struct proto_field *f = &msg.fields[i];
		/* A text's NUL is not in its length, but on the wire. */
		size_t end = i + 1 < msg.n ? (size_t)(msg.fields[i + 1].data - 6 - f->data)
					   : size - (size_t)(f->data - data);

		FUZZ_CHECK(f->data >= data && f->data + f->len <= data + size);
		FUZZ_CHECK(end == f->len || (end == f->len + 1 && f->data[f->len] == 0));
		proto_put(&w, f->tag, f->data, end);
	}
	FUZZ_CHECK(proto_end(&w, &err) == RC_OK);
	FUZZ_CHECK(again.len == size && memcmp(again.data, data, size) == 0);
	if (msg.type == PROTO_ERROR)
		FUZZ_CHECK(proto_error(&msg, &err) != RC_OK);
	proto_msg_fini(&msg);
	buf_fini(&again);
	return 0;
}
