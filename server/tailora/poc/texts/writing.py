"""How a language writes numbers, amounts, times and dates. Knows nothing of what is written."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date

__all__ = ["Writing"]


@dataclass(frozen=True, slots=True)
class Writing:
    """A language's habits. Units are written with what parts them from their number."""

    language: str
    percent: str
    points: str
    to: str
    """Between the ends of an interval."""
    brackets: tuple[str, str]
    """Around a remark, with what parts them from the text before."""
    comma: str
    """Between items of a list."""
    second: str
    minute: str
    hour: str
    bit: str
    watt_hour: str
    currencies: Mapping[str, str]
    """By code, where the language has a word of its own."""
    currency: str
    """That prices are in where none is named."""
    day: Callable[[date], str]

    def number(self, value: float, digits: int = 0) -> str:
        """With a comma at thousands, and a real minus."""
        return f"{round(value, digits) + 0.0:,.{digits}f}".replace("-", "\u2212")

    def shares(self, value: float, digits: int = 1, *, sign: bool = False) -> str:
        """A share in percent."""
        return self._signed(100 * value, digits, sign) + self.percent

    def in_points(self, value: float, digits: int = 1) -> str:
        """A difference of shares, with its sign."""
        return self._signed(100 * value, digits, True) + self.points

    def signed(self, share: float, digits: int = 1) -> str:
        """A share or a difference of shares, times a hundred and without its unit: the lower end of an interval."""
        return self._signed(100 * share, digits, True)

    def interval(self, low: str, high: str) -> str:
        """From its ends."""
        return f"{low}{self.to}{high}"

    def remark(self, text: str) -> str:
        """A text in brackets."""
        return text.join(self.brackets)

    def time(self, seconds: float) -> str:
        """In the unit that suits it."""
        if seconds >= 5_400:
            return self.number(seconds / 3_600, 1) + self.hour
        if seconds >= 90:
            return self.number(seconds / 60) + self.minute
        return self.number(seconds) + self.second

    def money(self, amount: float, code: str) -> str:
        """With as many digits as say something: none for yen from 1 on, two for others, more below that."""
        usual = 0 if code == "JPY" else 2
        digits = usual
        if amount and abs(amount) < 10 ** (1 - usual):
            digits = min(8, 1 - math.floor(math.log10(abs(amount))))
        return self.number(amount, digits) + self.currencies.get(code, f"\u00a0{code}")

    def bytes(self, size: float) -> str:
        """Of a file."""
        if size >= 1e9:
            return f"{self.number(size / 1e9, 1)}\u00a0GB"
        return (
            f"{self.number(size / 1e6, 1)}\u00a0MB" if size >= 1e6 else f"{self.number(size / 1e3)}\u00a0kB"
        )

    def items(self, given: list[str]) -> str:
        """A list in a sentence."""
        return self.comma.join(given)

    def _signed(self, value: float, digits: int, sign: bool) -> str:
        text = self.number(value, digits)
        return f"+{text}" if sign and round(value, digits) > 0 else text
