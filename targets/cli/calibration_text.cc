#include "targets/cli/calibration_text.h"

namespace thimble::cli {

std::string_view CalibrationText() {
  return R"TEXT(The harbour lies where the river meets the sea. In winter the ferries run twice a day, and in summer every hour from
seven in the morning until the last light. Most of the houses along the quay were built between 1870 and 1910, when the town
lived from herring; the nets hung to dry between the chimneys, and a good season paid for a roof. Today a museum in the old
salt store shows what was left behind: barrels, ledgers, a rowing boat with nine benches, and the photographs of three
generations of one family standing in front of the same door.

A heat pump moves heat instead of making it. A fluid with a low boiling point takes up warmth from the outside air or the ground
and evaporates; a compressor raises its pressure and therefore its temperature; in the house it condenses and gives the
warmth away. For each unit of electric energy the machine delivers three or four units of heat, as long as the difference
between the two temperatures is small. That is why such systems work best with large radiators or pipes under the floor, and
why a badly insulated building should first be insulated.

"Did you feed the cat?" asked Nora without looking up from her book.
"Twice," said Ben. "She told me that you had forgotten."
"She says that every day."
"I know. But today she brought a witness." He pointed at the window sill, where a second cat, grey and much too thin, was
washing one paw with great care.
Nora closed the book. "Well," she said, "then I suppose we need a bigger bowl."

Once upon a time there was a little girl who lived at the edge of a forest. Every morning she carried water from the well, and
every morning the same bird sat on the wall and sang. One day the bird was not there. The girl looked under the hedge and
behind the shed, and at last she found it in the grass with a broken wing. She took it home in her apron, gave it crumbs and
water, and waited. After three weeks the bird flew up to the beam, then out of the window, and in the evening it sang again
on the wall, a little louder than before.

How to make bread at home
1. Mix 500 g of flour, 10 g of salt, 3 g of dry yeast and 350 ml of lukewarm water.
2. Knead for ten minutes, until the dough no longer sticks to your hands.
3. Let it rise in a covered bowl for about two hours; it should double in size.
4. Shape a loaf, let it rest for another 45 minutes, and heat the oven to 230 degrees.
5. Bake for 35 minutes. The loaf is done when it sounds hollow if you knock on its bottom.
Do not cut it while it is hot, however good it smells.

The trial compared two treatments in 412 patients between 18 and 75 years of age. After six months 63% of the first group and 51%
of the second had no symptoms (difference 12 percentage points, 95% confidence interval 2 to 22, p = 0.017). Side effects were
mild in both groups. The authors conclude that the newer drug is more effective, but note that the follow-up was short and
that a third of the participants left the study early, so that the result should be read with caution.

def moving_average(values, width):
    """Mean of the last `width` values at each place; shorter at the start."""
    if width <= 0:
        raise ValueError("width must be positive")
    total, result = 0.0, []
    for i, value in enumerate(values):
        total += value
        if i >= width:
            total -= values[i - width]
        result.append(total / min(i + 1, width))
    return result

#include <stdio.h>
int main(void) {
  for (int i = 1; i <= 20; ++i) {
    if (i % 15 == 0) puts("fizzbuzz");
    else if (i % 3 == 0) puts("fizz");
    else printf("%d\n", i);
  }
  return 0;
}

SELECT city, COUNT(*) AS orders, SUM(amount) AS total FROM sales WHERE year = 2021 GROUP BY city ORDER BY total DESC LIMIT 10;
{"name": "lamp", "price": 24.95, "tags": ["light", "desk"], "stock": {"north": 3, "south": 0}, "sold_out": false}

Question: A train leaves at 9:40 and arrives at 12:15. How long does the journey take?
Answer: From 9:40 to 12:00 are two hours and twenty minutes, and from 12:00 to 12:15 another fifteen minutes. Together the
journey takes two hours and thirty-five minutes.
Question: What is the capital of Portugal, and on which river does it lie?
Answer: Lisbon, on the Tagus, close to where the river flows into the Atlantic Ocean.
Question: Why is the sky blue?
Answer: Air scatters short waves of light much more than long ones. The blue part of the sunlight therefore reaches our eyes from
all directions, while the red part mostly goes straight on. In the evening the way through the air is longer, most of the
blue is lost on it, and the sun looks red.

User: Can you help me write a short note to my landlord? The heating has been broken since Monday.
Assistant: Of course. Here is a draft: "Dear Mr Hale, the heating in my flat has not worked since Monday evening. The rooms are
below 15 degrees at night. Could you please send somebody to repair it this week, and let me know when they will come? I am at
home after four. Kind regards". Would you like me to make it more formal?
User: No, that is perfect, thank you!

= = Early life = =
She was born in a mining village as the fourth of seven children. Her father worked underground until an accident in 1923 left him
unable to walk, and her mother took in washing. A teacher noticed her gift for numbers and lent her books; at the age of sixteen she
won a place at the university, where she was one of two women in her year. She graduated with first-class honours in 1931,
joined the observatory as an assistant, and published her first paper on double stars two years later.
= = Later career = =
During the war she calculated tables for the navy. From 1946 until her retirement in 1974 she directed the department of celestial
mechanics, supervised more than thirty doctoral students and, together with two colleagues, wrote the standard textbook of the
field. A crater on the Moon and a small planet bear her name. The band 's third album , released in May , reached number four in
the charts and sold 250 @,@ 000 copies ; critics praised the songs but not the production .

Der Zug nach Hamburg hatte zwanzig Minuten Verspätung, und auf dem Bahnsteig wurde es langsam kalt. Eine ältere Frau teilte ihre
Kekse mit zwei Kindern, die ihr dafür erklärten, wie man auf dem Telefon Schach spielt. Als der Zug endlich kam, hatte sie zweimal gewonnen.

Le marché commence à huit heures. On y trouve des légumes, du fromage, des fleurs et, le samedi, un homme qui répare les parapluies.
Il dit toujours qu'un bon parapluie dure plus longtemps qu'un gouvernement, et personne n'a encore prouvé le contraire.

La biblioteca abre todos los días menos el lunes. Los niños pueden llevarse cinco libros, los adultos diez, y nadie paga multa si
devuelve un libro tarde pero lo ha leído de verdad.

今日は朝から雨が降っています。駅まで歩いて十分かかりますが、傘を忘れたので走りました。
学习一门新的语言需要时间和耐心，但是每天练习一点，很快就会看到进步。
Погода сегодня хорошая, поэтому мы решили пойти пешком через парк и купить хлеба по дороге домой.

The committee shall meet at least four times a year. A quorum consists of five members, of whom at least one must be an officer.
Decisions are taken by a simple majority of the votes cast; in the event of a tie the chair has a casting vote. Any member who
has a financial interest in a matter under discussion shall declare it and leave the room. Minutes are to be sent to all members
within fourteen days and are deemed accepted unless an objection is received within a further seven.

Prices rose again in March. The index stood at 104.7, up 0.4% on the month and 3.1% on the year; without energy and food the increase
was 2.6%. Economists had expected slightly less. The central bank is likely to leave its rate unchanged in June, although two of
the nine members voted for a cut of a quarter of a point. Shares fell after the news, the currency gained, and the yield of
ten-year bonds climbed to 2.85%, its highest level since the autumn.

If x + 3 = 2x - 5, then x = 8. The area of a circle of radius r is pi r^2, so doubling the radius makes it four times as large. A
number is divisible by nine if the sum of its digits is: 4 + 7 + 1 + 6 = 18, therefore 4716 = 9 * 524. Let f be continuous on the
closed interval [a, b] with f(a) < 0 < f(b); then there is a point c between a and b where f(c) = 0.

Beneath the snow the field is dreaming green,
the fox has drawn his thread from hedge to hedge,
and what the summer was, and what has been,
lies folded like a letter in the sedge.

Thanks for the quick reply!! I tried restarting it & the light still blinks red :( Do I have to send it in, or is there a shop near
Leeds (LS6) that could look at it? Order no. 88-20417, bought 12/03, still under warranty I think. Cheers, Sam
)TEXT";
}

}  // namespace thimble::cli
