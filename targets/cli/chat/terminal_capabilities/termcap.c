/* The sequences of ECMA-48 by termcap's names. "%d" stands for a number. */
#include "targets/cli/chat/terminal_capabilities/termcap.h"

#include <stdio.h>
#include <string.h>

static const struct {
  const char* name;
  const char* text;
} kTexts[] = {
    {"bl", "\a"},       {"cd", "\033[J"},   {"ce", "\033[K"},   {"ch", "\033[%dG"}, {"cl", "\033[H\033[2J"}, {"dc", "\033[P"},
    {"ho", "\033[H"},   {"ic", "\033[@"},   {"kd", "\033[B"},   {"kl", "\033[D"},   {"kr", "\033[C"},        {"ku", "\033[A"},
    {"md", "\033[1m"},  {"me", "\033[m"},   {"nd", "\033[C"},   {"se", "\033[27m"}, {"so", "\033[7m"},       {"up", "\033[A"},
    {"us", "\033[4m"},  {"ue", "\033[24m"}, {"DC", "\033[%dP"}, {"DO", "\033[%dB"}, {"IC", "\033[%d@"},      {"LE", "\033[%dD"},
    {"RI", "\033[%dC"}, {"UP", "\033[%dA"}, {"kh", "\033[H"},   {"@7", "\033[F"},   {"kD", "\033[3~"},
};

int tgetent(char* buffer, const char* name) {
  (void)buffer;
  return strcmp(name, "dumb") != 0;
}

int tgetflag(const char* name) { return strcmp(name, "am") == 0 || strcmp(name, "xn") == 0; }

int tgetnum(const char* name) {
  (void)name;
  return -1;
}

char* tgetstr(const char* name, char** area) {
  size_t i;
  (void)area;
  for (i = 0; i < sizeof kTexts / sizeof kTexts[0]; ++i) {
    if (strcmp(name, kTexts[i].name) == 0) return (char*)kTexts[i].text;
  }
  return NULL;
}

char* tgoto(const char* capability, int column, int row) {
  static char text[32];
  /* A column counts from 1 on the terminal; all others are how often. libedit gives the number twice. */
  const int number = capability[strlen(capability) - 1] == 'G' ? column + 1 : row;
  const char* hole = strstr(capability, "%d");
  if (hole == NULL || strlen(capability) > sizeof text - 16) return (char*)capability;
  snprintf(text, sizeof text, "%.*s%d%s", (int)(hole - capability), capability, number, hole + 2);
  return text;
}

int tputs(const char* text, int lines, int (*put)(int)) {
  (void)lines;
  for (; *text != 0; ++text) put((unsigned char)*text);
  return 0;
}
