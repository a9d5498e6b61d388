"""Made-up people's names from many cultures, and the ways in which a registry has them typed.

Given and family names are combined at random; namesakes arise by themselves, as in life.
"""

import random
import unicodedata
from typing import Final, NamedTuple


class Culture(NamedTuple):
    """Given and family names that go together; `share` is its weight among the members."""

    share: int
    given: tuple[str, ...]
    family: tuple[str, ...]


def _names(text: str) -> tuple[str, ...]:
    return tuple(" ".join(name.split()) for name in text.split(","))


CULTURES: Final = (
    Culture(
        62,
        _names(
            """
            James, Mary, Robert, Patricia, John, Jennifer, Michael, Linda, David, Elizabeth,
            William, Barbara, Richard, Susan, Joseph, Jessica, Thomas, Sarah, Charles, Karen,
            Christopher, Lisa, Daniel, Nancy, Matthew, Betty, Anthony, Margaret, Mark, Sandra,
            Donald, Ashley, Steven, Kimberly, Paul, Emily, Andrew, Donna, Joshua, Michelle,
            Kenneth, Carol, Kevin, Amanda, Brian, Melissa, George, Deborah, Timothy, Stephanie,
            Ronald, Rebecca, Edward, Laura, Jason, Sharon, Jeffrey, Cynthia, Ryan, Kathleen,
            Jacob, Amy, Gary, Angela, Nicholas, Shirley, Eric, Anna, Jonathan, Brenda, Stephen,
            Pamela, Larry, Emma, Justin, Nicole, Scott, Helen, Brandon, Samantha, Benjamin,
            Katherine, Samuel, Christine, Gregory, Debra, Mary Ann, Billy Joe, Jean-Paul, Zoë,
            Chloë, D'Andre, Ta'Nisha, A.J., J. R.
            """
        ),
        _names(
            """
            Smith, Johnson, Williams, Brown, Jones, Miller, Davis, Wilson, Anderson, Thomas,
            Taylor, Moore, Jackson, Martin, Lee, Thompson, White, Harris, Clark, Lewis,
            Robinson, Walker, Young, Allen, King, Wright, Scott, Hill, Green, Adams, Nelson,
            Baker, Hall, Campbell, Mitchell, Carter, Roberts, Phillips, Evans, Turner, Parker,
            Edwards, Collins, Stewart, Morris, Murphy, Cook, Rogers, Morgan, Cooper, Peterson,
            Bailey, Reed, Kelly, Howard, Cox, Ward, Richardson, Watson, Brooks, Wood, Bennett,
            Gray, Hughes, Price, Myers, Long, Foster, Sanders, Ross, Powell, Sullivan, Russell,
            Jenkins, Perry, Butler, Barnes, Fisher, Henderson, O'Brien, O'Connor, McDonald,
            MacLeod, Fitzgerald, St. John, Smith-Jones, Taylor-Brooks, Washington, Jefferson,
            Hamilton, Graham, Wallace, West, Cole, Hayes, Chavis, Gibson, Ellis, Stevens,
            Murray, Ford
            """
        ),
    ),
    Culture(
        14,
        _names(
            """
            José, María, Luis, Carmen, Juan, Ana, Carlos, Rosa, Jesús, Guadalupe, Miguel, Lucía,
            Ángel, Sofía, Andrés, Elena, Íñigo, Inés, Ramón, Begoña, José Luis, María José,
            Héctor, Raúl, Tomás, Verónica
            """
        ),
        _names(
            """
            García, Martínez, Rodríguez, López, Hernández, González, Pérez, Sánchez, Ramírez,
            Torres, Flores, Rivera, Gómez, Díaz, Núñez, Muñoz, Ibáñez, Peña, de la Cruz, del
            Río, García Márquez, Ortiz-Vega, Castañeda
            """
        ),
    ),
    Culture(
        6,
        _names(
            """
            Hans, Jürgen, Björn, Åsa, Søren, Ingrid, Jan, Anneke, Willem, Käthe, Günther,
            Øystein, Þóra, Lars
            """
        ),
        _names(
            """
            van der Berg, van den Heuvel, de Vries, von Braun, Müller, Schäfer, Weiß, Größmann,
            Jørgensen, Ångström, Lindqvist, Guðmundsdóttir, ten Brink, Østergård
            """
        ),
    ),
    Culture(
        6,
        _names(
            """
            Łukasz, Agnieszka, Zbigniew, Małgorzata, Jiří, Željko, Dušan, Čeněk, Ivana,
            Katarzyna, Šárka, Oleksandr
            """
        ),
        _names(
            """
            Kowalski, Wiśniewska, Wójcik, Łukaszewicz, Dvořák, Novák, Horváth, Đorđević, Šimić,
            Żółkiewski, Nagy, Shevchenko, Kovačević
            """
        ),
    ),
    Culture(
        4,
        _names("Minh, Thị Hoa, Văn Anh, Ngọc, Đức, Phương, Quang, Tuấn, Linh"),
        _names("Nguyễn, Trần, Lê, Phạm, Huỳnh, Võ, Đặng, Bùi, Đỗ"),
    ),
    Culture(
        3,
        _names("伟, 芳, 娜, 敏, 静, Wei, Xiaoming, Mei-Ling, Jun, 太郎, 花子, Ji-woo, Hye-jin"),
        _names("李, 王, 张, Chen, Liu, Wong, 佐藤, Tanaka, Kim, Park, Choi"),
    ),
    Culture(
        3,
        _names(
            """
            Priya, Arjun, Mohammed, Fatima, Ahmed, Aisha, Ravi, Lakshmi, Omar, Leila, Sanjay,
            Noor
            """
        ),
        _names(
            """
            Patel, Singh, Khan, al-Farsi, Venkataramanan, Hussein, bin Rashid, Chaudhary, Iyer,
            Haddad
            """
        ),
    ),
    Culture(
        2,
        _names(
            """
            Kwame, Ngozi, Chidi, Amara, Kalani, Leilani, Ke\u02bbalohi, Makoa, Folasade, Adaeze
            """
        ),
        _names(
            """
            Okafor, Mensah, Adeyemi, Kahananui, Kealoha, Nakamura-Ka\u02bbaihue, Okonkwo, Diallo
            """
        ),
    ),
)
_SHARES: Final = tuple(culture.share for culture in CULTURES)

_LETTERS_WITHOUT_DECOMPOSITION: Final = str.maketrans(
    {"ł": "l", "Ł": "L", "ø": "o", "Ø": "O", "đ": "d", "Đ": "D", "ð": "d", "þ": "th", "Þ": "Th", "ß": "ss"}
)


def random_name(rng: random.Random) -> tuple[str, str]:
    """A given and a family name, as their bearer writes them."""
    (culture,) = rng.choices(CULTURES, _SHARES)
    return rng.choice(culture.given), rng.choice(culture.family)


def as_typed(rng: random.Random, given: str, family: str) -> tuple[str, str]:
    """The two names as somebody typed them into the registry: one in twelve is not tidy."""
    variants = (
        (given.upper(), family.upper()),
        (f" {given}", family),
        (given, f"{family} "),
        (f"{given}  {rng.choice('ABCDEFGHJKLMNPRSTW')}.", family),
        (given, f"{family} Jr."),
        (given, f"{family}  III"),
        (given.lower(), family.lower()),
    )
    return rng.choice(variants) if rng.random() < 1 / 12 else (given, family)


def folded(name: str) -> str:
    """A name without case, accents and spare spaces: equal for two spellings of one name."""
    plain = "".join(letter for letter in unicodedata.normalize("NFKD", name) if not unicodedata.combining(letter))
    return " ".join(plain.casefold().split())


def to_ascii(name: str) -> str:
    """The lower-case ASCII letters of a name; empty where the script has none."""
    plain = unicodedata.normalize("NFKD", name.translate(_LETTERS_WITHOUT_DECOMPOSITION))
    return "".join(letter for letter in plain.lower() if letter.isascii() and letter.isalpha())
