/* SPDX-License-Identifier: BSD-2-Clause */
#include "message/mime.h"

#include "message/mime_private.h"

#include <stdlib.h>
#include <string.h>

/*
 * The pass over a message. Bytes come in pieces and are cut into lines; a line whose beginning is
 * at hand to its end, or for LINE_HEAD bytes, is looked at once:
 *
 *   - Is it a delimiter of one of the open multiparts? The innermost is asked first; the whole line
 *     has to be the delimiter, so that an inner boundary may have an outer one as its prefix.
 *   - If not, it belongs to the current entity: to its header, or to its body (a leaf's content,
 *     a multipart's preamble or epilogue), whose flags it adds to.
 *
 * The line end before a delimiter belongs to the delimiter, so what it means for the flags is held
 * back until the next line is known. Work for a line is bounded by its length and by the
 * number of open multiparts (MIME_MAX_DEPTH), memory by the entities and one header block.
 */
#define PIECE         SINK_CHUNK
#define SCAN_WHOLE    (16u << 20) /* what is in memory up to this is read where it lies */
#define LINE_HEAD     1024
#define DELIMITER_MAX 998 /* a delimiter line without its end */

struct frame {
	struct entity *entity; /* an open multipart */
	const char *boundary;  /* in its ctype */
	size_t len;            /* without blanks at the end, which RFC 2046 does not allow */
};

struct scanner {
	struct spool *spool;
	uint64_t end; /* where to stop */
	struct entity *root;
	struct entity *current; /* whose lines come */
	bool in_header;         /* of the current one */
	struct buf header;      /* its lines */
	struct hdrs *root_hdrs; /* where the root's fields go, or NULL */
	struct frame stack[MIME_MAX_DEPTH];
	size_t open;        /* frames in use */
	size_t count;       /* entities */
	size_t line_len;    /* of the line in hand, without its end */
	char last;          /* its last byte so far */
	bool clean;         /* mime_byte_flags would find nothing in the bytes in hand */
	uint64_t line_end;  /* where the end of the line before begins */
	unsigned held_back; /* flags of that line end */
};

/* Makes an entity under PARENT (or the root) that begins at START. */
static enum rc
add_entity(struct scanner *scanner, struct entity *parent, uint64_t start, struct err *err)
{
	struct entity *entity, **parts;

	if (scanner->count >= MIME_MAX_PARTS)
		return err_set(err, ERR_LIMIT, "more than %d body parts", MIME_MAX_PARTS);
	if (parent && parent->depth + 1 >= MIME_MAX_DEPTH)
		return err_set(err, ERR_LIMIT, "body parts nested deeper than %d", MIME_MAX_DEPTH);
	entity = calloc(1, sizeof(*entity));
	if (!entity)
		return err_set(err, ERR_MEMORY, "body part");
	if (parent && (parent->n & (parent->n - 1)) == 0) {
		parts = realloc(parent->parts, (parent->n ? parent->n * 2 : 1) * sizeof(*parts));
		if (!parts) {
			free(entity);
			return err_set(err, ERR_MEMORY, "body parts");
		}
		parent->parts = parts;
	}
	entity->parent = parent;
	entity->start = entity->body = entity->end = start;
	if (parent) {
		entity->depth = parent->depth + 1;
		parent->parts[parent->n++] = entity;
	} else {
		scanner->root = entity;
	}
	scanner->count++;
	scanner->current = entity;
	scanner->in_header = true;
	buf_clear(&scanner->header);
	return RC_OK;
}

/* Begins the parts of a multipart, when its boundary can be used; else it is a leaf, flagged. */
static void
open_multipart(struct scanner *scanner, struct entity *entity)
{
	const char *boundary = ctype_param(&entity->ctype, "boundary");
	size_t len = boundary ? strlen(boundary) : 0;

	while (len && (boundary[len - 1] == ' ' || boundary[len - 1] == '\t'))
		len--;
	if (len == 0 || len > DELIMITER_MAX - 4 || mime_has_two_boundaries(&entity->ctype)) {
		entity->flags |= MIME_BAD_TYPE;
		return;
	}
	scanner->stack[scanner->open++] =
		(struct frame){.entity = entity, .boundary = boundary, .len = len};
}

/* The current entity's type is known, its body begins. */
static enum rc
begin_body(struct scanner *scanner, uint64_t body, struct err *err)
{
	struct entity *entity = scanner->current;

	entity->body = body;
	scanner->in_header = false;
	scanner->line_len = 0;
	if (strncmp(entity->ctype.type, "multipart/", 10) == 0) {
		open_multipart(scanner, entity);
		return RC_OK;
	}
	if (entity->cte != CTE_QP && entity->cte != CTE_BASE64 &&
		(strcmp(entity->ctype.type, "message/rfc822") == 0 ||
			strcmp(entity->ctype.type, "message/global") == 0))
		return add_entity(scanner, entity, body, err);
	return RC_OK;
}

/* The header of the current entity is complete: reads it. */
static enum rc
end_header(struct scanner *scanner, struct err *err)
{
	struct entity *entity = scanner->current;
	struct hdrs hdrs;
	size_t used;
	enum rc rc = hdrs_parse(buf_text(&scanner->header), scanner->header.len, &hdrs, &used, err);

	if (rc == RC_OK)
		rc = mime_set_type(entity, &hdrs, err);
	if (rc == RC_OK && !entity->parent && scanner->root_hdrs) {
		*scanner->root_hdrs = hdrs; /* the caller's now */
		return RC_OK;
	}
	hdrs_fini(&hdrs);
	return rc;
}

/* Is the line (without its end) a delimiter of the frame? *closes: the last one. */
static bool
is_delimiter(const struct frame *frame, const char *line, size_t len, bool *closes)
{
	size_t at = 2 + frame->len;

	if (len < at || memcmp(line + 2, frame->boundary, frame->len) != 0)
		return false;
	*closes = len >= at + 2 && line[at] == '-' && line[at + 1] == '-';
	for (at += *closes ? 2 : 0; at < len; at++)
		if (line[at] != ' ' && line[at] != '\t')
			return false;
	return true;
}

/* The innermost open multipart that the line delimits, counted from 1; 0: none. */
static size_t
find_delimiter(const struct scanner *scanner, const char *line, size_t len, bool *closes)
{
	size_t i = scanner->open;

	if (len < 3 || len > DELIMITER_MAX || line[0] != '-' || line[1] != '-')
		return 0;
	while (i > 0 && !is_delimiter(&scanner->stack[i - 1], line, len, closes))
		i--;
	return i;
}

/* Does the line begin with the delimiter of an open multipart? RFC 2046 section 5.1.2 lets readers
 * be content with that. */
static bool
is_near_delimiter(const struct scanner *scanner, const char *line, size_t len)
{
	if (len < 3 || line[0] != '-' || line[1] != '-')
		return false;
	for (size_t i = 0; i < scanner->open; i++) {
		const struct frame *frame = &scanner->stack[i];

		if (len >= 2 + frame->len && memcmp(line + 2, frame->boundary, frame->len) == 0)
			return true;
	}
	return false;
}

/* Ends the current entity and those around it, below UP, at END (not before their bodies begin). */
static enum rc
close_entities(struct scanner *scanner, const struct entity *up, uint64_t end, uint64_t line,
	struct err *err)
{
	while (scanner->in_header) { /* cut short: the body is empty */
		enum rc rc = end_header(scanner, err);

		if (rc == RC_OK)
			rc = begin_body(scanner, line, err);
		if (rc != RC_OK)
			return rc;
	}
	for (struct entity *e = scanner->current; e != up; e = e->parent) {
		e->end = end > e->body ? end : e->body;
		if (e->n && e->parts[e->n - 1]->end > e->end)
			e->end = e->parts[e->n - 1]->end;
		if (scanner->open && scanner->stack[scanner->open - 1].entity == e) {
			scanner->open--;
			e->flags |= MIME_UNCLOSED;
		}
	}
	return RC_OK;
}

/* A delimiter line of frame FRAME (from 1) at OFFSET, LEN bytes with EOL bytes of line end. */
static enum rc
take_delimiter(struct scanner *scanner, size_t frame, bool closes, uint64_t offset, size_t len,
	size_t eol, struct err *err)
{
	struct entity *entity = scanner->stack[frame - 1].entity;
	enum rc rc = close_entities(scanner, entity, scanner->line_end, offset, err);

	if (rc != RC_OK)
		return rc;
	entity->flags |= scanner->held_back;
	if (eol == 1)
		entity->flags |= MIME_BARE_LF;
	scanner->held_back = 0;
	scanner->line_end = offset + len - eol;
	scanner->line_len = 0;
	if (!closes)
		return add_entity(scanner, entity, offset + len, err);
	scanner->open = frame - 1;
	scanner->current = entity; /* its epilogue comes */
	return RC_OK;
}

/* Bytes of a line of the header: START, at its beginning; EOL, length of the line end at theirs. */
static enum rc
take_header(struct scanner *scanner, const char *data, size_t len, bool start, size_t eol,
	struct err *err)
{
	unsigned flags = scanner->clean ? 0 : mime_byte_flags(data, len - eol);

	scanner->line_len = (start ? 0 : scanner->line_len) + len - eol;
	if (flags & MIME_HAS_8BIT)
		scanner->current->flags |= MIME_HDR_8BIT;
	if (flags & MIME_BARE_CR)
		scanner->current->flags |= MIME_HDR_CR;
	if (flags & (MIME_HAS_NUL | MIME_BARE_CR) || eol == 1 || scanner->line_len > 998)
		scanner->current->flags |= MIME_HDR_BAD;
	if (scanner->header.len + len > HDRS_MAX_BYTES)
		return err_set(err, ERR_LIMIT, "header above %u bytes", HDRS_MAX_BYTES);
	return buf_append(&scanner->header, data, len, err);
}

/* Bytes of a line of the body, as above; ENDS: the line ends with them. */
static void
take_body(struct scanner *scanner, const char *data, size_t len, bool start, bool ends, size_t eol)
{
	unsigned flags = scanner->clean ? 0 : mime_byte_flags(data, len - eol);

	len -= eol;
	if (start) {
		flags |= scanner->held_back;
		scanner->held_back = 0;
		scanner->line_len = 0;
		if (len >= 5 && memcmp(data, "From ", 5) == 0)
			flags |= MIME_FROM_LINE;
	}
	scanner->line_len += len;
	if (len)
		scanner->last = data[len - 1];
	if (scanner->line_len > 998)
		flags |= MIME_LONG_LINE;
	if (ends && scanner->line_len && (scanner->last == ' ' || scanner->last == '\t'))
		flags |= MIME_TRAILING_WS;
	if (eol == 1)
		scanner->held_back = MIME_BARE_LF;
	scanner->current->flags |= flags;
}

/* Does the header of the current entity go on with this line? */
static bool
is_header_line(const struct scanner *scanner, const char *line, size_t len)
{
	size_t gap;

	if (line[0] == ' ' || line[0] == '\t')
		return scanner->header.len > 0;
	return hdrs_field_name(line, len, &gap) > 0;
}

/* The header of the current entity ends with this line, which is empty (then it is done with) or no
 * field. */
static enum rc
leave_header(struct scanner *scanner, size_t len, size_t eol, uint64_t offset, struct err *err)
{
	bool empty = len == eol;
	enum rc rc;

	if (empty && eol == 1)
		scanner->current->flags |= MIME_HDR_BAD;
	rc = end_header(scanner, err);
	if (empty)
		scanner->line_end = offset;
	return rc == RC_OK ? begin_body(scanner, offset + (empty ? len : 0), err) : rc;
}

/* A line, or a part of one that is long: START and ENDS tell which. A line that is no field ends
 * the header, and is then a delimiter of what was opened, or begins the header of an entity inside.
 */
static enum rc
take_line(struct scanner *scanner, const char *data, size_t len, uint64_t offset, bool start,
	bool ends, struct err *err)
{
	size_t eol = data[len - 1] != '\n'              ? 0
		     : len > 1 && data[len - 2] == '\r' ? 2
							: 1,
	       frame = 0;
	bool closes = false;
	enum rc rc;

	while (start && !(frame = ends ? find_delimiter(scanner, data, len - eol, &closes) : 0)) {
		if (!scanner->in_header || is_header_line(scanner, data, len))
			break;
		rc = leave_header(scanner, len, eol, offset, err);
		if (rc != RC_OK || len == eol)
			return rc;
	}
	if (frame) {
		if (data[len - eol - 1] == ' ' || data[len - eol - 1] == '\t')
			scanner->held_back |= MIME_TRAILING_WS;
		return take_delimiter(scanner, frame, closes, offset, len, eol, err);
	}
	if (start && is_near_delimiter(scanner, data, len))
		scanner->current->flags |= MIME_NEAR_DELIMITER;
	if (ends)
		scanner->line_end = offset + len - eol;
	if (scanner->in_header)
		return take_header(scanner, data, len, start, eol, err);
	take_body(scanner, data, len, start, ends, eol);
	return RC_OK;
}

/*
 * Whole lines of a body that nothing can delimit and whose bytes are clean: what is left to be told
 * about each is done here, without a call. The bytes used.
 */
static size_t
take_clean_lines(struct scanner *scanner, const char *data, size_t len, uint64_t offset)
{
	unsigned flags = 0, held_back = scanner->held_back;
	const char *at = data, *end = data + len, *lf;
	size_t n = scanner->line_len;
	char last = scanner->last;

	while (at < end && (lf = memchr(at, '\n', (size_t)(end - at)))) {
		bool bare = lf == at || lf[-1] != '\r';

		flags |= held_back;
		held_back = bare ? MIME_BARE_LF : 0;
		n = (size_t)(lf - at) - !bare;
		last = n ? at[n - 1] : last;
		if (n > 998)
			flags |= MIME_LONG_LINE;
		if (n && (last == ' ' || last == '\t'))
			flags |= MIME_TRAILING_WS;
		if (n >= 5 && at[0] == 'F' && memcmp(at, "From ", 5) == 0)
			flags |= MIME_FROM_LINE;
		scanner->line_end = offset + (size_t)(at - data) + n;
		at = lf + 1;
	}
	scanner->held_back = held_back;
	scanner->line_len = n;
	scanner->last = last;
	scanner->current->flags |= flags;
	return (size_t)(at - data);
}

/* Cuts DATA, bytes from OFFSET on, into lines; *used tells how far that went. FINAL: nothing
 * follows. */
static enum rc
take_piece(struct scanner *scanner, const char *data, size_t len, uint64_t offset, bool final,
	bool *start, size_t *used, struct err *err)
{
	size_t at = 0;
	enum rc rc = RC_OK;

	scanner->clean = mime_is_clean(data, len);
	while (rc == RC_OK && at < len) {
		const char *lf;
		size_t n;
		bool ends;

		if (*start && scanner->clean && !scanner->in_header && scanner->open == 0)
			at += take_clean_lines(scanner, data + at, len - at, offset + at);
		if (at == len)
			break;
		lf = memchr(data + at, '\n', len - at);
		n = lf ? (size_t)(lf + 1 - (data + at)) : len - at;
		ends = lf || final;

		if (!ends && *start && n < LINE_HEAD)
			break;
		if (!ends && data[len - 1] == '\r' && --n == 0)
			break; /* an LF may follow */
		rc = take_line(scanner, data + at, n, offset + at, *start, ends, err);
		*start = ends;
		at += n;
		if (!ends)
			break;
	}
	*used = at;
	return rc;
}

/* Piece by piece from FROM to the end. */
static enum rc
scan_pieces(struct scanner *scanner, uint64_t from, struct err *err)
{
	char *piece = malloc(PIECE);
	size_t have = 0, used;
	bool start = true;
	enum rc rc = piece ? RC_OK : err_set(err, ERR_MEMORY, "body part");

	while (rc == RC_OK && from < scanner->end) {
		uint64_t left = scanner->end - from - have;
		size_t n = left < PIECE - have ? (size_t)left : PIECE - have;

		rc = spool_read(scanner->spool, from + have, piece + have, n, err);
		have += n;
		used = 0;
		if (rc == RC_OK)
			rc = take_piece(scanner, piece, have, from, n == left, &start, &used, err);
		have -= used;
		from += used;
		memmove(piece, piece + used, have);
	}
	free(piece);
	return rc;
}

/* Reads the spool from FROM to the end and closes what is open. */
static enum rc
scan(struct scanner *scanner, uint64_t from, struct err *err)
{
	uint64_t len = scanner->end - from;
	const char *whole = len <= SCAN_WHOLE ? spool_peek(scanner->spool, from, len) : NULL;
	bool start = true;
	size_t used;
	enum rc rc;

	scanner->line_end = from;
	rc = whole ? take_piece(scanner, whole, (size_t)len, from, true, &start, &used, err)
		   : scan_pieces(scanner, from, err);
	if (rc == RC_OK) {
		scanner->current->flags |= scanner->held_back;
		rc = close_entities(scanner, NULL, scanner->end, scanner->end, err);
	}
	return rc;
}

/* Hands the tree over, or frees it. */
static enum rc
finish(struct scanner *scanner, enum rc rc, struct entity **out)
{
	buf_fini(&scanner->header);
	if (rc == RC_OK)
		*out = scanner->root;
	else
		entity_free(&scanner->root);
	return rc;
}

/* Line ends within a field stand as CRLF or LF. */
static bool
has_bare_cr(const char *text, size_t len)
{
	for (const char *p = text; (p = memchr(p, '\r', len - (size_t)(p - text))); p++)
		if (p + 1 == text + len || p[1] != '\n')
			return true;
	return false;
}

/* Flags of a header that did not come as bytes. */
static unsigned
header_flags(const struct hdrs *hdrs)
{
	unsigned flags = 0;

	for (size_t i = 0; i < hdrs->n; i++) {
		flags |= mime_byte_flags(hdrs->v[i].value, hdrs->v[i].value_len);
		if (has_bare_cr(hdrs->v[i].value, hdrs->v[i].value_len))
			flags |= MIME_HDR_CR;
	}
	return (flags & MIME_HAS_8BIT ? MIME_HDR_8BIT : 0) | (flags & MIME_HDR_CR) |
	       (flags & (MIME_HAS_NUL | MIME_BARE_CR) ? MIME_HDR_BAD : 0);
}

enum rc
mime_parse(const struct hdrs *hdrs, struct spool *body, struct entity **out, struct err *err)
{
	struct scanner scanner = {
		.spool = body, .end = spool_size(body), .header = BUF_INIT(HDRS_MAX_BYTES)};
	enum rc rc;

	*out = NULL;
	rc = add_entity(&scanner, NULL, 0, err);
	if (rc == RC_OK) {
		scanner.root->flags = header_flags(hdrs);
		rc = mime_set_type(scanner.root, hdrs, err);
	}
	if (rc == RC_OK)
		rc = begin_body(&scanner, 0, err);
	if (rc == RC_OK)
		rc = scan(&scanner, 0, err);
	return finish(&scanner, rc, out);
}

enum rc
mime_parse_entity(struct spool *spool, uint64_t start, uint64_t end, struct hdrs *hdrs,
	struct entity **out, struct err *err)
{
	struct scanner scanner = {
		.spool = spool, .end = end, .root_hdrs = hdrs, .header = BUF_INIT(HDRS_MAX_BYTES)};
	enum rc rc;

	*out = NULL;
	if (hdrs)
		hdrs_init(hdrs);
	if (start > end || end > spool_size(spool))
		return err_set(err, ERR_INTERNAL, "entity past the end of a spool");
	rc = add_entity(&scanner, NULL, start, err);
	if (rc == RC_OK)
		rc = scan(&scanner, start, err);
	if (rc != RC_OK && hdrs)
		hdrs_fini(hdrs);
	return finish(&scanner, rc, out);
}
