/* What libedit asks a termcap library, for terminals that understand ECMA-48 (all that `thimble chat` meets: xterm and what
 * calls itself so, the Linux console, screen, tmux). Knows nothing of libedit. */
#ifndef THIMBLE_TERMCAP_H_
#define THIMBLE_TERMCAP_H_

#ifdef __cplusplus
extern "C" {
#endif

/* 1, or 0 for a terminal that can do nothing ("dumb"). */
int tgetent(char* buffer, const char* name);
/* 1 where it is so: "am", "xn". */
int tgetflag(const char* name);
/* -1: unknown. Columns and lines are asked of the system. */
int tgetnum(const char* name);
/* A static text, or NULL where it cannot do this. `area` is not used. */
char* tgetstr(const char* name, char** area);
/* `capability` with its numbers filled in. Static, until the next call. */
char* tgoto(const char* capability, int column, int row);
int tputs(const char* text, int lines, int (*put)(int));

#ifdef __cplusplus
}
#endif

#endif /* THIMBLE_TERMCAP_H_ */
