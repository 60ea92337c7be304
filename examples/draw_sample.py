"""Draws examples/sample.png: a delivery note in Chinese and English, with a table and rotated lines.

The picture is committed, so this needs to run only when the drawing is changed. The font is Noto Sans CJK,
under the SIL Open Font License, which leaves pictures made with it free; on Debian and Ubuntu it comes with
`apt-get install fonts-noto-cjk`, elsewhere name the file: `draw_sample.py --font NotoSansCJK-Regular.ttc`.
"""
# ruff: noqa: RUF001 - full-width punctuation belongs to Chinese text

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

HERE = Path(__file__).resolve().parent
PLACES = (
    Path("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc"),
    Path("/usr/share/fonts/noto-cjk/NotoSansCJK-Regular.ttc"),
    Path("/usr/share/fonts/google-noto-cjk/NotoSansCJK-Regular.ttc"),
)
#: In the collection's order: Japanese, Korean, simplified Chinese, ...
SIMPLIFIED_CHINESE = 2

Color = tuple[int, int, int]

WIDTH, HEIGHT = 1200, 900
PAPER, INK, GREY, BLUE, RED = (253, 252, 248), (34, 36, 40), (120, 124, 130), (24, 70, 140), (190, 40, 44)
STICKER, TAPE = (250, 214, 84), (226, 230, 236)

COLUMNS = (60, 130, 450, 790, 900, 1010, 1140)
HEAD = (
    ("序号", "No."),
    ("品名", "Description"),
    ("规格型号", "Model"),
    ("数量", "Qty"),
    ("单价", "Price"),
    ("金额", "Amount"),
)
ROWS = (
    ("1", "铜芯电缆 Copper cable", "RVV 3×2.5 mm² 黑色", "120 m", "6.80", "816.00"),
    ("2", "接线端子 Terminal block", "UK-2.5B 阻燃", "400", "0.95", "380.00"),
    ("3", "断路器 Circuit breaker", "DZ47-63 C16 2P", "36", "28.50", "1,026.00"),
    ("4", "不锈钢扎带 Cable tie", "SUS304 4.6×300", "500", "0.42", "210.00"),
    ("5", "热缩管 Heat-shrink tube", "Φ8 mm 红 / red", "60 m", "1.35", "81.00"),
)
ROW_PX = 46


@dataclass(frozen=True)
class Label:
    """Centred lines in a frame, turned counter-clockwise; without a fill the paper shines through."""

    center: tuple[int, int]
    size: tuple[int, int]
    degrees: float
    lines: tuple[tuple[str, int], ...]
    color: Color
    fill: Color | None = None
    border_px: int = 0


LABELS = (
    Label(
        (985, 735), (300, 112), 11, (("已验收 CHECKED", 32), ("2024-05-18 仓库二部", 22)), RED, border_px=4
    ),
    Label(
        (1030, 236),
        (270, 92),
        -7,
        (("易碎品 小心轻放", 26), ("FRAGILE — HANDLE WITH CARE", 16)),
        INK,
        STICKER,
        border_px=3,
    ),
    Label((30, 470), (520, 34), 90, (("第一联 存根(白)  Copy 1: Sender (white)", 16),), GREY),
    Label((500, 826), (440, 44), 3, (("缺 2 件端子，下周补发 — short 2 pcs, to follow", 20),), BLUE),
)


class Page:
    """A sheet that text is written on, always with the same font."""

    def __init__(self, font: Path) -> None:
        """Takes an empty sheet."""
        self.image = Image.new("RGB", (WIDTH, HEIGHT), PAPER)
        self.draw = ImageDraw.Draw(self.image)
        self._font = font

    def font(self, size: int) -> ImageFont.FreeTypeFont:
        """The font at one size, laid out the same way on every machine."""
        engine = ImageFont.Layout.BASIC
        return ImageFont.truetype(str(self._font), size, SIMPLIFIED_CHINESE, layout_engine=engine)

    def write(  # noqa: PLR0913, PLR0917 - where and how a line stands are that many things
        self,
        left: int,
        top: int,
        text: str,
        size: int = 20,
        color: Color = INK,
        anchor: str = "la",
    ) -> None:
        """Writes one line."""
        self.draw.text((left, top), text, fill=color, font=self.font(size), anchor=anchor)

    def paste(self, label: Label) -> None:
        """Puts a label on the sheet."""
        width, height = label.size
        image = Image.new("RGBA", label.size, (*label.fill, 255) if label.fill else (*label.color, 0))
        draw = ImageDraw.Draw(image)
        ink = (*label.color, 255)
        if label.border_px:
            draw.rounded_rectangle((3, 3, width - 4, height - 4), 10, outline=ink, width=label.border_px)
        step = height / (len(label.lines) + 0.6)
        for place, (text, size) in enumerate(label.lines):
            draw.text((width / 2, step * (place + 0.8)), text, fill=ink, font=self.font(size), anchor="mm")
        turned = image.rotate(label.degrees, Image.Resampling.BICUBIC, expand=True)
        corner = (label.center[0] - turned.width // 2, label.center[1] - turned.height // 2)
        self.image.paste(turned, corner, turned)


def draw_sample(font: Path) -> Image.Image:
    """The delivery note, the same for the same font file."""
    page = Page(font)
    _draw_letterhead(page)
    _draw_table(page, top=330)
    _draw_foot(page)
    for label in LABELS:
        page.paste(label)
    return page.image


def _draw_letterhead(page: Page) -> None:
    page.draw.rectangle((0, 0, WIDTH, 14), fill=BLUE)
    page.draw.rectangle((60, 48, 124, 112), fill=BLUE)
    page.write(92, 80, "例", 40, PAPER, "mm")
    page.write(144, 42, "示例电气有限公司", 34)
    page.write(144, 88, "Example Electric Co., Ltd.", 20, GREY)
    page.write(1140, 44, "送货单", 44, BLUE, "ra")
    page.write(1140, 102, "DELIVERY NOTE", 24, BLUE, "ra")
    page.draw.line((60, 146, 1140, 146), fill=BLUE, width=2)
    page.write(60, 164, "收货单位：港城物流中心 3 号仓库")
    page.write(60, 196, "Deliver to: Harbour City Logistics, Warehouse 3")
    page.write(60, 228, "地址：示例市滨海区港城路 1288 号")
    page.write(60, 260, "联系人 Contact: 王小明 (Wang Xiaoming) 555-0142")
    page.write(620, 164, "单号 No.: HT-20240516-0093")
    page.write(620, 196, "日期 Date: 2024-05-16")
    page.write(620, 228, "车牌 Truck: A·00000")
    page.write(
        60, 294, "以下货物请点清签收，如有短缺请在三日内告知。 Please count the goods on receipt.", 16, GREY
    )


def _draw_table(page: Page, top: int) -> None:
    bottom = top + 60 + ROW_PX * (len(ROWS) + 1)
    page.draw.rectangle((COLUMNS[0], top, COLUMNS[-1], top + 60), fill=TAPE)
    for left, right, (chinese, english) in zip(COLUMNS, COLUMNS[1:], HEAD, strict=False):
        page.write((left + right) // 2, top + 19, chinese, 20, INK, "mm")
        page.write((left + right) // 2, top + 44, english, 16, GREY, "mm")
    for number, row in enumerate(ROWS):
        middle = top + 60 + ROW_PX * number + ROW_PX // 2
        for place, (left, right, text) in enumerate(zip(COLUMNS, COLUMNS[1:], row, strict=False)):
            if place in {1, 2}:
                page.write(left + 12, middle, text, 20, INK, "lm")
            elif place:
                page.write(right - 12, middle, text, 20, INK, "rm")
            else:
                page.write((left + right) // 2, middle, text, 20, INK, "mm")
    middle = bottom - ROW_PX // 2
    page.write(COLUMNS[1] + 12, middle, "合计 Total (CNY) 贰仟伍佰壹拾叁元整", 20, INK, "lm")
    page.write(COLUMNS[-1] - 12, middle, "2,513.00", 22, RED, "rm")
    for line in (top, *range(top + 60, bottom + 1, ROW_PX)):
        page.draw.line((COLUMNS[0], line, COLUMNS[-1], line), fill=GREY, width=1)
    for column in COLUMNS:
        last = bottom if column in {COLUMNS[0], COLUMNS[1], COLUMNS[-2], COLUMNS[-1]} else bottom - ROW_PX
        page.draw.line((column, top, column, last), fill=GREY, width=1)


def _draw_foot(page: Page) -> None:
    page.write(60, 696, "制单 Issued by: 陈静")
    page.write(330, 696, "送货 Driver: 李建国")
    page.write(590, 696, "收货签字 Received:")
    page.draw.line((60, 738, 780, 738), fill=GREY, width=1)
    page.write(60, 752, "备注 Remarks: 货到 30 天内付款。Payment within 30 days of delivery.", 18)
    page.write(60, 784, "开户行：示例银行城东支行  账号 0000 1234 5678 90", 18)
    page.write(60, 868, "Tel. 555-0100   www.example.com   sales@example.com", 15, GREY, "lm")
    page.write(1140, 868, "第 1 页 / 共 1 页  Page 1 of 1", 15, GREY, "rm")


def main() -> int:
    """Writes the picture; 1 where no font is found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--font", type=Path, help="NotoSansCJK-Regular.ttc, where it is in no usual place")
    parser.add_argument("--out", type=Path, default=HERE / "sample.png", help="the picture to write")
    options = parser.parse_args()
    font = options.font or next((path for path in PLACES if path.is_file()), None)
    if font is None or not font.is_file():
        print(
            "No Noto Sans CJK on this machine. Install it (Debian, Ubuntu: apt-get install fonts-noto-cjk)\n"
            "or name it with --font. The picture need not be drawn anew: examples/sample.png is committed.",
            file=sys.stderr,
        )
        return 1
    # 64 colours are enough for ink on paper, and a quarter of the bytes.
    sample = draw_sample(font).quantize(64, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    sample.save(options.out, optimize=True)
    print(f"wrote {options.out} ({options.out.stat().st_size // 1000} kB)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
