package runview

import (
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// A Screen draws lines over those that it drew before.
type Screen struct {
	w     io.Writer
	drawn int
}

// NewScreen returns a Screen that begins where the cursor is.
func NewScreen(w io.Writer) *Screen { return &Screen{w: w} }

// Draw draws lines, which must not be wider than the terminal, and leaves the
// cursor below them. It is one write, so that nothing flickers.
func (s *Screen) Draw(lines []string) error {
	var b strings.Builder
	if s.drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", s.drawn)
	}
	for _, l := range lines {
		b.WriteString("\r\x1b[2K" + l + "\n")
	}
	b.WriteString("\x1b[J")
	s.drawn = len(lines)
	_, err := io.WriteString(s.w, b.String())
	return err
}

// Keep leaves what is drawn where it is: the next lines come below it.
func (s *Screen) Keep() { s.drawn = 0 }

// Size returns the columns and rows of a terminal, false if it is none.
func Size(f any) (columns, rows int, terminal bool) {
	file, ok := f.(*os.File)
	if !ok {
		return 0, 0, false
	}
	size, err := unix.IoctlGetWinsize(int(file.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0, 0, false
	}
	return int(size.Col), int(size.Row), true
}
