/*
 * What the process itself shows of its memory: nothing.
 */
#ifndef ADAPTER_PROCESS_H
#define ADAPTER_PROCESS_H

/*
 * From now on the kernel writes no core file of this process, whatever kills it, and only root can
 * read its memory or trace it: both would hold credentials and people's addresses. Called first in
 * main(), before there is anything to show. It cannot fail in a way that matters: a kernel that
 * refuses leaves things as they were.
 */
void process_keep_to_itself(void);
/*
 * Makes TEXT, an argument of main() with a secret in it, unreadable in the list of processes. Its
 * length stays.
 */
void process_hide_argument(char *text);

#endif
