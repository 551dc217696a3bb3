// strftime_now(): a date as Python's strftime writes it in English.
#include "runtime/template/machine.h"

namespace thimble::chat {

Value Machine::Now(std::string_view format) {
  static constexpr std::string_view kMonths[] = {"January", "February", "March",     "April",   "May",      "June",
                                                 "July",    "August",   "September", "October", "November", "December"};
  static constexpr std::string_view kDays[] = {"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};
  const Clock& c = input_.clock;
  // Sakamoto's rule.
  static constexpr int kOffsets[] = {0, 3, 2, 5, 0, 3, 5, 1, 4, 6, 2, 4};
  const size_t month = static_cast<size_t>(c.month >= 1 && c.month <= 12 ? c.month - 1 : 0);
  const int year = c.month < 3 ? c.year - 1 : c.year;
  const size_t day = static_cast<size_t>(((year + year / 4 - year / 100 + year / 400 + kOffsets[month] + c.day) % 7 + 7) % 7);
  static constexpr int kBefore[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
  const bool leap = (c.year % 4 == 0 && c.year % 100 != 0) || c.year % 400 == 0;
  TextBuilder out(*this);
  const auto number = [&](int value, int digits) {
    char text[16];
    int n = 0;
    for (int rest = value < 0 ? 0 : value; n < digits || rest > 0; rest /= 10) text[n++] = static_cast<char>('0' + rest % 10);
    while (n > 0) out.Add(text[--n]);
  };
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%' || i + 1 == format.size()) {
      out.Add(format[i]);
      continue;
    }
    int digits = 2;
    if (format[++i] == '-' && i + 1 < format.size()) ++i, digits = 1;
    switch (format[i]) {
      case 'Y': number(c.year, 4); break;
      case 'y': number(c.year % 100, 2); break;
      case 'm': number(c.month, digits); break;
      case 'd': number(c.day, digits); break;
      case 'H': number(c.hour, digits); break;
      case 'I': number(c.hour % 12 == 0 ? 12 : c.hour % 12, digits); break;
      case 'M': number(c.minute, digits); break;
      case 'S': number(c.second, digits); break;
      case 'j': number(kBefore[month] + c.day + (leap && c.month > 2), digits == 1 ? 1 : 3); break;
      case 'p': out.Add(c.hour < 12 ? "AM" : "PM"); break;
      case 'B': out.Add(kMonths[month]); break;
      case 'b': out.Add(kMonths[month].substr(0, 3)); break;
      case 'A': out.Add(kDays[day]); break;
      case 'a': out.Add(kDays[day].substr(0, 3)); break;
      case '%': out.Add('%'); break;
      default: return Fail("a part of a date that is not known", format.substr(i - 1, 2));
    }
  }
  return out.Done();
}

}  // namespace thimble::chat
