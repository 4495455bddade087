//! A file and its states: the objects as one revision has them.
//!
//! A state is a table of places, so that the states of all revisions of one file cost little, and an object that no
//! later revision lists is known to be the same. Objects are parsed where they are needed, and some are kept by their
//! place: what one revision after the other asks for (the form, its fields, their signatures) is read once.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use super::error::PdfError;
use super::object::{Dict, Numbered, Object};
use super::parse::{Budget, Parser};
use super::stream;
use super::xref::{self, Entry, Section};
use crate::signature::limits::{MAX_PDF, MAX_PDF_CACHE, MAX_PDF_KEPT};

type Result<T> = std::result::Result<T, PdfError>;

/// Object streams kept; they are searched one by one.
const MAX_KEPT: usize = 16;

/// References that lead to references, and lengths of streams that stand in streams.
const MAX_HOPS: usize = 4;

/// What a file over the limit is refused with.
pub(crate) const TOO_LARGE: PdfError =
    PdfError::Limit { what: "bytes (a larger PDF takes a detached signature)", limit: MAX_PDF };

/// A file whose cross-reference sections are read.
#[derive(Debug)]
pub(crate) struct File<'a> {
    pub bytes: &'a [u8],
    /// From the oldest to the newest.
    pub sections: Vec<Section>,
    pub budget: Budget,
    containers: RefCell<Vec<Rc<Container>>>,
    kept: RefCell<Kept>,
}

/// Objects by number and place, each with its end where it stands in the file itself.
#[derive(Debug, Default)]
struct Kept {
    objects: HashMap<(u32, Place), (Rc<Numbered>, Option<usize>)>,
    cost: usize,
}

impl Kept {
    fn put(&mut self, key: (u32, Place), object: &Rc<Numbered>, end: Option<usize>, bytes: usize) {
        // What is long is in hexadecimal.
        let cost = 100 + 64 * object.nodes + bytes / 2;
        if cost > MAX_PDF_KEPT / 2 {
            return;
        }
        if self.cost + cost > MAX_PDF_KEPT {
            *self = Kept::default();
        }
        self.cost += cost;
        self.objects.insert(key, (object.clone(), end));
    }
}

/// Where an object's bytes are, whatever the revision: at an offset with a generation, or in the object stream at an
/// offset by its index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Place {
    At(u32, u16),
    In(u32, u32),
}

/// An object stream (7.5.7), decompressed.
#[derive(Debug)]
struct Container {
    offset: u32,
    data: Vec<u8>,
    /// Object numbers, and where each object starts.
    index: Vec<(u32, usize)>,
}

impl<'a> File<'a> {
    /// Reads the frame of a file: its first line, its end, its cross-reference sections.
    pub fn open(bytes: &'a [u8]) -> Result<File<'a>> {
        if bytes.len() > MAX_PDF {
            return Err(TOO_LARGE);
        }
        let version =
            bytes.strip_prefix(b"%PDF-").ok_or(PdfError::File("it does not start as a PDF does"))?;
        if !matches!(version, [b'1' | b'2', b'.', b'0'..=b'9', ..]) {
            return Err(PdfError::File("a version of PDF that does not exist"));
        }
        let start = xref::startxref(bytes)
            .ok_or(PdfError::File("it does not end as a PDF does, with startxref and %%EOF"))?;
        let budget = Budget::new();
        let sections = xref::sections(bytes, start, &budget)?;
        Ok(File { bytes, sections, budget, containers: RefCell::default(), kept: RefCell::default() })
    }

    /// The objects after the section with this index.
    pub fn state(&self, section: usize) -> State<'_> {
        let mut state = State { file: self, table: Vec::new(), section: 0 };
        state.apply(0);
        while state.section < section {
            state.advance();
        }
        state
    }

    /// The objects as the file has them in the end.
    pub fn last(&self) -> State<'_> {
        self.state(self.sections.len() - 1)
    }
}

/// The objects of a file after one of its sections.
#[derive(Debug, Clone)]
pub(crate) struct State<'f> {
    pub file: &'f File<'f>,
    table: Vec<Entry>,
    pub section: usize,
}

impl<'f> State<'f> {
    fn apply(&mut self, section: usize) {
        for &(number, entry) in &self.file.sections[section].entries {
            let number = number as usize;
            if number >= self.table.len() {
                self.table.resize(number + 1, Entry::Free);
            }
            self.table[number] = entry;
        }
        self.section = section;
    }

    /// Goes on to the next section.
    pub fn advance(&mut self) {
        self.apply(self.section + 1);
    }

    pub fn trailer(&self) -> &'f Dict {
        &self.file.sections[self.section].trailer
    }

    /// Whether a cross-reference stream of this state or an earlier one stands here.
    pub fn is_cross_reference(&self, offset: usize) -> bool {
        self.file.sections[..=self.section].iter().any(|section| section.streams.contains(&offset))
    }

    /// Where an object stands.
    pub fn entry(&self, number: u32) -> Entry {
        self.table.get(number as usize).copied().unwrap_or_default()
    }

    /// The numbers of all objects, those in object streams by stream, so that each is decompressed once.
    pub fn numbers(&self) -> Vec<u32> {
        let used = |&number: &u32| self.entry(number) != Entry::Free;
        let mut numbers: Vec<u32> = (0..self.table.len() as u32).filter(used).collect();
        numbers.sort_by_key(|&number| match self.entry(number) {
            Entry::In { container, .. } => container,
            _ => 0,
        });
        numbers
    }

    /// An object; none where there is none with this number.
    pub fn read(&self, number: u32) -> Result<Option<Rc<Numbered>>> {
        let keep = true;
        self.read_hops(number, MAX_HOPS, keep).map(|read| read.map(|(object, _)| object))
    }

    /// An object, and where it ends if it stands in the file itself. For who goes through all of them: it is not kept.
    pub fn read_to_end(&self, number: u32) -> Result<Option<(Rc<Numbered>, Option<usize>)>> {
        let keep = false;
        self.read_hops(number, MAX_HOPS, keep)
    }

    fn read_hops(
        &self,
        number: u32,
        hops: usize,
        keep: bool,
    ) -> Result<Option<(Rc<Numbered>, Option<usize>)>> {
        let hops = hops.checked_sub(1).ok_or(PdfError::Object { number, what: "lengths in a circle" })?;
        match self.entry(number) {
            Entry::Free => Ok(None),
            Entry::At { offset, generation } => {
                let key = (number, Place::At(offset, generation));
                if let Some(known) = self.known(key)? {
                    return Ok(Some(known));
                }
                let mut parser = Parser::new(self.file.bytes, offset as usize);
                // A length that is an object of its own may be another in another revision.
                let mut apart = false;
                let length = |length: &Object| match length {
                    Object::Reference(number, generation) if self.generation(*number) == *generation => {
                        apart = true;
                        self.read_hops(*number, hops, true).ok().flatten().and_then(|(o, _)| o.value.size())
                    }
                    other => other.size(),
                };
                let object = parser.numbered((number, generation), length)?;
                let data = object.data.as_ref().map_or(0, |data| data.len());
                let bytes = parser.at - offset as usize - data;
                self.file.budget.work(parser.work(bytes))?;
                let object = Rc::new(object);
                if keep && !apart {
                    self.file.kept.borrow_mut().put(key, &object, Some(parser.at), bytes);
                }
                Ok(Some((object, Some(parser.at))))
            }
            Entry::In { container, index } => {
                let container = self.container(container, hops)?;
                let key = (number, Place::In(container.offset, index));
                if let Some(known) = self.known(key)? {
                    return Ok(Some(known));
                }
                let found = container.index.get(index as usize).filter(|(n, _)| *n == number);
                let wrong = PdfError::Object { number, what: "it is not where the cross-reference says" };
                let &(_, start) = found.ok_or(wrong)?;
                let mut parser = Parser::new(&container.data, start);
                let value = parser.object()?;
                let bytes = parser.at - start;
                self.file.budget.work(parser.work(bytes))?;
                let (nodes, comments) = (parser.nodes(), parser.comments());
                let object = Rc::new(Numbered { value, data: None, nodes, comments });
                if keep {
                    self.file.kept.borrow_mut().put(key, &object, None, bytes);
                }
                Ok(Some((object, None)))
            }
        }
    }

    /// An object that was kept.
    fn known(&self, key: (u32, Place)) -> Result<Option<(Rc<Numbered>, Option<usize>)>> {
        let known = self.file.kept.borrow().objects.get(&key).cloned();
        if known.is_some() {
            self.file.budget.work(1)?;
        }
        Ok(known)
    }

    /// The numbers of the objects in an object stream, in its order.
    pub fn members(&self, container: u32) -> Result<Vec<u32>> {
        let container = self.container(container, MAX_HOPS)?;
        self.file.budget.work(container.index.len() / 8)?;
        Ok(container.index.iter().map(|(number, _)| *number).collect())
    }

    /// One more than the highest number that was ever listed.
    pub fn size(&self) -> u32 {
        self.table.len() as u32
    }

    /// The generation of an object (7.3.10).
    pub fn generation(&self, number: u32) -> u16 {
        match self.entry(number) {
            Entry::At { generation, .. } => generation,
            _ => 0,
        }
    }

    fn container(&self, number: u32, hops: usize) -> Result<Rc<Container>> {
        let wrong = |what| PdfError::Object { number, what };
        let Entry::At { offset, .. } = self.entry(number) else {
            return Err(wrong("an object stream that is no object of the file"));
        };
        let mut kept = self.file.containers.borrow_mut();
        if let Some(found) = kept.iter().find(|container| container.offset == offset) {
            return Ok(found.clone());
        }
        drop(kept);
        let object = self.read_hops(number, hops, false)?.map(|(object, _)| object);
        let (dict, data) =
            object.as_ref().and_then(|object| object.stream()).ok_or(wrong("no object stream"))?;
        if !dict.is(b"Type", b"ObjStm") {
            return Err(wrong("no object stream"));
        }
        let data = stream::decode(dict, &self.file.bytes[data], &self.file.budget)?;
        let (Some(count), Some(first)) = (dict.size(b"N"), dict.size(b"First")) else {
            return Err(wrong("an object stream without /N and /First"));
        };
        let mut parser = Parser::new(&data, 0);
        let mut index = Vec::new();
        for _ in 0..count {
            parser.skip();
            let object = parser.unsigned();
            parser.skip();
            let start = parser.unsigned().and_then(|at| (at as usize).checked_add(first));
            let start = start.filter(|&start| start <= data.len() && parser.at <= first);
            let (Some(object), Some(start)) = (object.and_then(|n| u32::try_from(n).ok()), start) else {
                return Err(wrong("an object stream with a bad index"));
            };
            index.push((object, start));
        }
        self.file.budget.work(index.len())?;
        // Some readers go by the index, others take the first with the number.
        let mut numbers: Vec<u32> = index.iter().map(|(number, _)| *number).collect();
        numbers.sort_unstable();
        if numbers.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(wrong("an object stream with one object twice"));
        }
        let container = Rc::new(Container { offset, data, index });
        kept = self.file.containers.borrow_mut();
        kept.push(container.clone());
        let size =
            |kept: &[Rc<Container>]| kept.iter().map(|c| c.data.len() + 16 * c.index.len()).sum::<usize>();
        while kept.len() > MAX_KEPT || kept.len() > 1 && size(&kept) > MAX_PDF_CACHE {
            kept.remove(0);
        }
        Ok(container)
    }

    /// The object that a value is or refers to; null for a reference to nothing.
    pub fn resolve<'o>(&self, value: &'o Object) -> Result<Cow<'o, Object>> {
        let mut value = Cow::Borrowed(value);
        for _ in 0..MAX_HOPS {
            let Object::Reference(number, generation) = *value else { return Ok(value) };
            value = Cow::Owned(match self.read(number)? {
                Some(object) if self.generation(number) == generation => {
                    self.file.budget.work(object.nodes / 4)?;
                    object.value.clone()
                }
                _ => Object::Null,
            });
        }
        Err(PdfError::File("references that lead to references"))
    }

    /// The value of a key, its reference followed; null where there is none.
    pub fn get<'o>(&self, dict: &'o Dict, key: &[u8]) -> Result<Cow<'o, Object>> {
        dict.get(key).map_or(Ok(Cow::Owned(Object::Null)), |value| self.resolve(value))
    }

    /// The catalog (7.7.2) and its number.
    pub fn catalog(&self) -> Result<(u32, Dict)> {
        let root = self.trailer().get(b"Root").and_then(Object::reference);
        let root = root.ok_or(PdfError::File("a trailer without /Root"))?;
        let object = self.read(root)?;
        let catalog =
            object.as_ref().and_then(|object| object.plain_dict()).filter(|d| d.is(b"Type", b"Catalog"));
        Ok((root, catalog.cloned().ok_or(PdfError::File("no catalog where the trailer says"))?))
    }
}
