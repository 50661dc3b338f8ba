"""Whether bytes are UTF-8, by the Unicode table of well-formed sequences; ASCII eight bytes at a time."""

from numba import njit

from topics.raw_access import load_byte, load_word

_TOP_BITS = -0x7F7F7F7F7F7F7F80  # 0x80 in every byte


@njit(nogil=True, cache=True)
def valid_utf8(position: int, size: int) -> bool:
    """Whether `size` bytes at `position` are UTF-8: no overlong form, no surrogate, nothing above U+10FFFF.

    Source: The Unicode Standard, table 3-7, "Well-Formed UTF-8 Byte Sequences".
    """
    end = position + size
    while position < end:
        if end - position >= 8 and load_word(position) & _TOP_BITS == 0:
            position += 8
            continue
        lead = load_byte(position)
        position += 1
        if lead < 0x80:
            continue
        # What may follow the lead, and how many bytes.
        lower = 0x80
        upper = 0xBF
        if lead < 0xC2:
            return False
        if lead < 0xE0:
            follow = 1
        elif lead < 0xF0:
            follow = 2
            if lead == 0xE0:
                lower = 0xA0
            elif lead == 0xED:
                upper = 0x9F
        elif lead < 0xF5:
            follow = 3
            if lead == 0xF0:
                lower = 0x90
            elif lead == 0xF4:
                upper = 0x8F
        else:
            return False
        if end - position < follow:
            return False
        for place in range(follow):
            byte = load_byte(position + place)
            if byte < lower or byte > upper:
                return False
            lower = 0x80
            upper = 0xBF
        position += follow
    return True
