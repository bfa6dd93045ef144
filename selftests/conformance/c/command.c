// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Reading commands.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "member.h"

bool command_read(struct command *command)
{
	static char line[512];
	char *word;

	*command = (struct command){ 0 };
	if (!fgets(line, sizeof(line), stdin))
		return false;
	for (word = strtok(line, "\n "); word; word = strtok(NULL, "\n ")) {
		char *equals = strchr(word, '=');

		if (!equals && command->words < 4) {
			command->word[command->words++] = word;
		} else if (equals && command->values < 8) {
			*equals = '\0';
			command->key[command->values] = word;
			command->value[command->values++] = equals + 1;
		}
	}
	return true;
}

const char *command_get(const struct command *command, const char *key, const char *otherwise)
{
	unsigned int i;

	for (i = 0; i < command->values; i++)
		if (!strcmp(command->key[i], key))
			return command->value[i];
	return otherwise;
}

uint32_t command_number(const struct command *command, const char *key, uint32_t otherwise)
{
	const char *value = command_get(command, key, NULL);

	return value ? (uint32_t)strtoul(value, NULL, 0) : otherwise;
}

uint32_t command_word(const struct command *command, unsigned int index)
{
	return index < command->words ? (uint32_t)strtoul(command->word[index], NULL, 0) : 0;
}

static uint64_t deadline_of(const char *ms)
{
	if (!strcmp(ms, "never"))
		return IVRING_DEADLINE_NEVER;
	if (!strcmp(ms, "past"))
		return 1;
	return strcmp(ms, "0") ? ivr_deadline_ms((uint32_t)strtoul(ms, NULL, 0)) : 0;
}

/* "ms=0" does not wait, "ms=past" is a time that has passed, "ms=never" waits for ever. */
uint64_t command_deadline(const struct command *command)
{
	return deadline_of(command_get(command, "ms", "0"));
}

/* The deadline for the reply to a request: "reply=" and a value like that of "ms=". */
uint64_t command_reply_deadline(const struct command *command)
{
	return deadline_of(command_get(command, "reply", "never"));
}
