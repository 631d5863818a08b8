/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/notice_text.h"

#include "base/file.h"
#include "message/charset.h"
#include "message/compose.h"
#include "milter/notice_builtin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define TEXT_WORDS TEXT_KINDS /* the section behind the kinds */
#define SECTIONS   (TEXT_KINDS + 1)
#define MAX_JOINED 3 /* tags in "ja+en" */

static const char *const section_names[SECTIONS] = {
	"refused", "named", "failed", "invite", "learned", "expiring", "recipient", "words"};

struct language {
	char tag[TEXT_TAG_SIZE]; /* lower case */
	char *text;              /* of the file, cut into the strings below */
	const char *section[SECTIONS];
};

struct texts {
	struct language *v; /* the administrator's before the shipped ones */
	size_t n;
};

/* How a template is read: on the way into OUT. */
struct writing {
	const struct text_value *values;
	size_t n;
	struct buf *out;
};

static bool
is_tag(const char *text, size_t len)
{
	static const char chars[] = "abcdefghijklmnopqrstuvwxyz0123456789-";

	return len > 0 && len < TEXT_TAG_SIZE && strspn(text, chars) >= len;
}

void
texts_free(struct texts **texts)
{
	if (!*texts)
		return;
	for (size_t i = 0; i < (*texts)->n; i++)
		free((*texts)->v[i].text);
	free((*texts)->v);
	free(*texts);
	*texts = NULL;
}

/* A placeholder's name at P, ended by "}"; its length or 0. */
static size_t
name_length(const char *p)
{
	size_t n = strspn(p, "abcdefghijklmnopqrstuvwxyz0123456789_-");

	return p[n] == '}' ? n : 0;
}

static const struct text_value *
find_value(const struct writing *w, const char *name, size_t len)
{
	for (size_t i = 0; i < w->n; i++)
		if (strlen(w->values[i].name) == len && memcmp(w->values[i].name, name, len) == 0)
			return &w->values[i];
	return NULL;
}

static enum rc
append_value(struct writing *w, const struct text_value *value, struct err *err)
{
	if (!value || !value->value)
		return RC_OK;
	if (value->block)
		return buf_append_str(w->out, value->value, err);
	return compose_clean(value->value, TEXT_MAX_VALUE, w->out, err);
}

/* One line of a template with its line end; left out when a "%{?name}" at its beginning is empty.
 */
static enum rc
append_line(struct writing *w, const char *p, const char *end, struct err *err)
{
	enum rc rc = RC_OK;

	while (end - p > 3 && strncmp(p, "%{?", 3) == 0) {
		size_t n = name_length(p + 3);
		const struct text_value *value = find_value(w, p + 3, n);

		if (!value || !value->value || !*value->value)
			return RC_OK;
		p += n + 4;
	}
	while (rc == RC_OK && p < end) {
		size_t n = strcspn(p, "%");

		n = n > (size_t)(end - p) ? (size_t)(end - p) : n;
		rc = buf_append(w->out, p, n, err);
		p += n;
		if (rc != RC_OK || p == end)
			break;
		if (p[1] == '{') {
			n = name_length(p + 2);
			rc = append_value(w, find_value(w, p + 2, n), err);
			p += n + 3;
		} else {
			rc = buf_append_char(w->out, '%', err);
			p += 2;
		}
	}
	return rc;
}

static enum rc
append_template(struct writing *w, const char *text, struct err *err)
{
	enum rc rc = RC_OK;

	while (rc == RC_OK && *text) {
		size_t n = strcspn(text, "\n");

		n += text[n] == '\n';
		rc = append_line(w, text, text + n, err);
		text += n;
	}
	return rc;
}

/* Every "%" begins "%%", "%{name}" or, at the beginning of a line, "%{?name}". */
static bool
check_template(const char *text)
{
	bool begin = true;

	for (; *text; text++) {
		if (*text != '%') {
			begin = *text == '\n';
		} else if (text[1] == '%') {
			text++;
			begin = false;
		} else if (text[1] == '{') {
			bool asks = text[2] == '?';
			size_t n = name_length(text + 2 + asks);

			if (n == 0 || (asks && !begin))
				return false;
			text += n + 2 + asks;
			begin = begin && asks;
		} else {
			return false;
		}
	}
	return true;
}

/* Cuts blank lines at the end down to one line end. */
static void
trim(char *text)
{
	size_t n = strlen(text);

	while (n > 0 && text[n - 1] == '\n')
		n--;
	if (n > 0)
		text[n++] = '\n';
	text[n] = '\0';
}

static enum rc
end_section(struct language *language, int section, int line, const char *name, struct err *err)
{
	char *text = (char *)language->section[section];

	trim(text);
	if (!check_template(text))
		return err_set(err, ERR_CONFIG,
			"%s:%d: section %s: a \"%%\" that is no %%%%, %%{name} or, at the beginning of a line, %%{?name}",
			name, line, section_names[section]);
	if (section < TEXT_RECIPIENT && strncmp(text, "Subject: ", 9) != 0)
		return err_set(err, ERR_CONFIG, "%s:%d: section %s begins with no Subject:", name,
			line, section_names[section]);
	return RC_OK;
}

/* "[name]": which section begins here, -1 none, -2 one that is unknown. */
static int
section_at(const char *line, size_t len)
{
	if (len < 2 || line[0] != '[' || line[len - 1] != ']')
		return -1;
	for (int i = 0; i < SECTIONS; i++)
		if (strlen(section_names[i]) == len - 2 &&
			strncmp(section_names[i], line + 1, len - 2) == 0)
			return i;
	return -2;
}

/* Cuts LANGUAGE's text into its sections. NAME: of the file, for errors. */
static enum rc
parse(struct language *language, const char *name, struct err *err)
{
	char *p = language->text;
	int section = -1, begun = 0, line = 1;
	enum rc rc = RC_OK;

	for (; rc == RC_OK && *p; line++) {
		size_t len = strcspn(p, "\n");
		char *next = p + len + (p[len] == '\n');
		int found = section_at(p, len);

		if (found == -2 || (found >= 0 && language->section[found]))
			return err_set(err, ERR_CONFIG, "%s:%d: section unknown or given twice",
				name, line);
		if (found < 0 && section < 0 && len > 0 && *p != '#')
			return err_set(
				err, ERR_CONFIG, "%s:%d: text outside of a section", name, line);
		if (found >= 0) {
			*p = '\0';
			if (section >= 0)
				rc = end_section(language, section, begun, name, err);
			section = found;
			begun = line;
			language->section[found] = next;
		}
		p = next;
	}
	return rc == RC_OK && section >= 0 ? end_section(language, section, begun, name, err) : rc;
}

/* Takes TEXT (owned) as one more language. */
static enum rc
add_language(struct texts *texts, const char *tag, size_t tag_len, char *text, const char *name,
	struct err *err)
{
	struct language *v = realloc(texts->v, (texts->n + 1) * sizeof(*v));
	struct language *language;

	if (!v || !text) {
		if (v)
			texts->v = v;
		free(text);
		return err_set(err, ERR_MEMORY, "texts");
	}
	texts->v = v;
	language = &v[texts->n++];
	memset(language, 0, sizeof(*language));
	snprintf(language->tag, sizeof(language->tag), "%.*s", (int)tag_len, tag);
	language->text = text;
	return parse(language, name, err);
}

/* "de.txt" in DIR. */
static enum rc
load_file(struct texts *texts, const char *dir, const char *file, struct err *err)
{
	struct buf text = BUF_INIT(TEXT_MAX_FILE);
	size_t tag = strlen(file) - 4;
	char *path = file_join(dir, file);
	enum rc rc = path ? file_read(path, &text, err) : err_set(err, ERR_MEMORY, "texts");

	if (rc == RC_OK && (!utf8_is_valid(buf_text(&text), text.len) ||
				   memchr(buf_text(&text), '\r', text.len) ||
				   strlen(buf_text(&text)) != text.len))
		rc = err_set(err, ERR_CONFIG, "%s: is no UTF-8 with plain line ends", path);
	if (rc == RC_OK)
		rc = add_language(texts, file, tag, strdup(buf_text(&text)), path, err);
	else if (rc == RC_NONE)
		rc = err_set(err, ERR_FILE, "%s is gone", path);
	buf_fini(&text);
	free(path);
	return rc;
}

static enum rc
load_dir(struct texts *texts, const char *dir, struct err *err)
{
	char **names = NULL;
	size_t n = 0;
	enum rc rc = file_list(dir, 4096, &names, &n, err);

	if (rc == RC_NONE)
		rc = err_set(err, ERR_CONFIG, "%s is not there", dir);
	for (size_t i = 0; rc == RC_OK && i < n; i++) {
		size_t len = strlen(names[i]);

		if (len < 5 || strcmp(names[i] + len - 4, ".txt") != 0 ||
			!is_tag(names[i], len - 4))
			continue;
		if (texts->n == TEXT_MAX_LANGUAGES)
			rc = err_set(err, ERR_CONFIG, "%s: more than %d languages", dir,
				TEXT_MAX_LANGUAGES);
		else
			rc = load_file(texts, dir, names[i], err);
	}
	file_list_free(&names, n);
	return rc;
}

enum rc
texts_new(const char *dir, struct texts **out, struct err *err)
{
	struct texts *texts = calloc(1, sizeof(*texts));
	const struct builtin_text *builtin;
	enum rc rc = RC_OK;
	size_t n;

	*out = NULL;
	if (!texts)
		return err_set(err, ERR_MEMORY, "texts");
	if (dir)
		rc = load_dir(texts, dir, err);
	builtin = notice_builtin(&n);
	for (size_t i = 0; rc == RC_OK && i < n; i++)
		rc = add_language(texts, builtin[i].tag, strlen(builtin[i].tag),
			strdup(builtin[i].text), builtin[i].tag, err);
	if (rc == RC_OK)
		*out = texts;
	else
		texts_free(&texts);
	return rc;
}

static bool
has_tag(const struct texts *texts, const char *tag, size_t len)
{
	for (size_t i = 0; i < texts->n; i++)
		if (strlen(texts->v[i].tag) == len && strncasecmp(texts->v[i].tag, tag, len) == 0)
			return true;
	return false;
}

bool
texts_has(const struct texts *texts, const char *language)
{
	int joined = 0;

	for (;; language++) {
		size_t n = strcspn(language, "+");

		if (++joined > MAX_JOINED || !has_tag(texts, language, n))
			return false;
		language += n;
		if (!*language)
			return true;
	}
}

/* The quality behind a language range, in thousandths; 1000 when there is none. */
static int
quality(const char *p, const char *end)
{
	const char *q = memchr(p, ';', (size_t)(end - p));
	int value = 0, scale = 1000;

	if (!q)
		return 1000;
	for (q++; q < end && (*q == ' ' || *q == '\t'); q++)
		;
	if (end - q < 3 || (*q != 'q' && *q != 'Q') || q[1] != '=' || (q[2] != '0' && q[2] != '1'))
		return 0; /* not understood: not wanted */
	if (q[2] == '1')
		return 1000;
	for (q += 3; q < end && (*q == '.' || (*q >= '0' && *q <= '9')); q++)
		if (*q != '.')
			value += (*q - '0') * (scale /= 10);
	return value;
}

bool
texts_choose(const struct texts *texts, const char *preferred, char *tag)
{
	int best = 0;

	for (int ranges = 0; preferred && *preferred && ranges < 32; ranges++) {
		const char *end = preferred + strcspn(preferred, ",");
		size_t n;
		int q;

		preferred += strspn(preferred, " \t");
		n = strcspn(preferred, ",; \t");
		q = preferred < end ? quality(preferred, end) : 0;
		while (q > best && n > 0 && n < TEXT_TAG_SIZE) {
			if (has_tag(texts, preferred, n)) {
				snprintf(tag, TEXT_TAG_SIZE, "%.*s", (int)n, preferred);
				best = q;
			} else { /* "de-AT" is served by "de" (RFC 4647 section 3.4) */
				while (n > 0 && preferred[n - 1] != '-')
					n--;
				n -= n > 0;
			}
		}
		preferred = *end ? end + 1 : end;
	}
	for (char *p = tag; best && *p; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p + ('a' - 'A'));
	return best > 0;
}

/* The section of the first language with that tag that has it; else English. */
static const char *
find_section(const struct texts *texts, const char *tag, size_t len, int section)
{
	static const char english[] = "en";

	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < texts->n; i++)
			if (strlen(texts->v[i].tag) == len &&
				strncasecmp(texts->v[i].tag, tag, len) == 0 &&
				texts->v[i].section[section])
				return texts->v[i].section[section];
		tag = english;
		len = 2;
	}
	return ""; /* not reached: the shipped English text is whole */
}

enum rc
texts_format(const struct text_use *use, enum text_kind kind, struct buf *subject, struct buf *body,
	struct err *err)
{
	struct writing head = {.values = use->values, .n = use->n, .out = subject};
	struct writing w = {.values = use->values, .n = use->n, .out = body};
	const char *text =
		find_section(use->texts, use->language, strcspn(use->language, "+"), (int)kind);
	size_t line = strcspn(text, "\n");
	enum rc rc = RC_OK;

	if (kind < TEXT_RECIPIENT) {
		if (subject)
			rc = append_line(&head, text + 9, text + line, err);
		text += line;
		text += strspn(text, "\n");
	}
	return rc == RC_OK ? append_template(&w, text, err) : rc;
}

/* The line "NAME = …" of a section of words. */
static const char *
find_word(const char *words, const char *name, size_t *len)
{
	size_t n = strlen(name);

	while (words && *words) {
		size_t line = strcspn(words, "\n");

		if (line > n + 3 && strncmp(words, name, n) == 0 &&
			strncmp(words + n, " = ", 3) == 0) {
			*len = line - n - 3;
			return words + n + 3;
		}
		words += line;
		words += *words == '\n';
	}
	return NULL;
}

/* A word of the languages called TAG, the administrator's first. */
static const char *
word_of(const struct texts *texts, const char *tag, size_t tag_len, const char *name, size_t *len)
{
	const char *word = NULL;

	for (size_t i = 0; !word && i < texts->n; i++)
		if (strlen(texts->v[i].tag) == tag_len &&
			strncasecmp(texts->v[i].tag, tag, tag_len) == 0)
			word = find_word(texts->v[i].section[TEXT_WORDS], name, len);
	return word;
}

enum rc
texts_word(const struct text_use *use, const char *name, const char *otherwise, struct buf *out,
	struct err *err)
{
	struct writing w = {.values = use->values, .n = use->n, .out = out};
	size_t tag = strcspn(use->language, "+"), len = 0;
	const char *word = word_of(use->texts, use->language, tag, name, &len);

	if (!word && otherwise)
		word = word_of(use->texts, use->language, tag, otherwise, &len);
	if (!word)
		word = word_of(use->texts, "en", 2, name, &len);
	if (!word && otherwise)
		word = word_of(use->texts, "en", 2, otherwise, &len);
	return word ? append_line(&w, word, word + len, err) : RC_OK;
}
