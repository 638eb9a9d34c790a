//! A data type on a few keys, checked key by key.

use std::cell::RefCell;
use std::fmt::{self, Debug};
use std::marker::PhantomData;
use std::rc::Rc;

use tanist_history::{Model, Operation, Outcome, check};

use super::{Command, Ended, Fate, Judgement, Known, Script, Workload};
use crate::random::Random;
use crate::value::Value;

/// How a data type is used and read.
pub trait DataType: 'static {
    /// What is right.
    type Model: Model<Input: 'static, Output: 'static> + 'static;
    /// How its keys begin.
    const NAME: &'static str;
    /// How many keys.
    const KEYS: u64;

    /// Whether the commands for an input are the same whatever the replies.
    const BLIND: bool = true;

    /// What to ask next; `unique` stands in no other request, `last` is what was last told of the key.
    fn draw(random: &mut Random, unique: &str, last: Option<&Output<Self>>) -> Input<Self>;

    /// What reads the key.
    fn read() -> Input<Self>;

    /// The next command for `input`, given the replies so far; `None`: that was all.
    fn next(key: &str, input: &Input<Self>, replies: &[Value]) -> Option<Command>;

    /// Whether these replies say that the operation has changed nothing, and nothing else.
    fn has_failed(_replies: &[Value]) -> bool {
        false
    }

    /// What the replies tell. `None`: something that no client should ever see.
    fn told(input: &Input<Self>, replies: &[Value]) -> Option<Output<Self>>;
}

/// What is asked of a data type.
pub(super) type Input<D> = <<D as DataType>::Model as Model>::Input;
/// What it tells.
pub(super) type Output<D> = <<D as DataType>::Model as Model>::Output;

/// The workload of a data type.
pub struct Keyed<D: DataType> {
    history: History<D>,
    count: u64,
}

type History<D> = Rc<RefCell<Vec<Operation<<D as DataType>::Model>>>>;

impl<D: DataType> Keyed<D> {
    /// Untouched keys.
    #[must_use]
    pub fn new() -> Keyed<D> {
        Keyed { history: Rc::default(), count: 0 }
    }

    fn script(&self, client: usize, key: String, input: Input<D>) -> Box<dyn Script> {
        Box::new(KeyedOp::<D> { client, key, input, history: Rc::clone(&self.history), data_type: PhantomData })
    }
}

impl<D: DataType> Default for Keyed<D> {
    fn default() -> Self {
        Self::new()
    }
}

impl<D: DataType> Workload for Keyed<D> {
    fn begin(&mut self, client: usize, random: &mut Random) -> Box<dyn Script> {
        self.count += 1;
        let key = format!("{}:{}", D::NAME, random.below(D::KEYS));
        let history = self.history.borrow();
        let told = history.iter().rev().filter(|operation| operation.key == key);
        let last = told.filter_map(|operation| match &operation.outcome {
            Outcome::Confirmed(output) => Some(output),
            Outcome::NotExecuted | Outcome::Unknown => None,
        });
        let unique = format!("{client}.{}", self.count);
        let input = D::draw(random, &unique, last.take(8).next());
        drop(history);
        self.script(client, key, input)
    }

    fn last_words(&mut self) -> Vec<Box<dyn Script>> {
        (0..D::KEYS).map(|key| self.script(0, format!("{}:{key}", D::NAME), D::read())).collect()
    }

    fn judge(&self, _: &Known) -> Judgement {
        check(&self.history.borrow()).into()
    }
}

/// One operation on one key.
struct KeyedOp<D: DataType> {
    client: usize,
    key: String,
    input: Input<D>,
    history: History<D>,
    data_type: PhantomData<D>,
}

impl<D: DataType> Script for KeyedOp<D> {
    fn next(&mut self, _: u64, replies: &[Value]) -> Option<Command> {
        D::next(&self.key, &self.input, replies)
    }

    fn is_blind(&self) -> bool {
        D::BLIND
    }

    fn writes(&self) -> bool {
        D::Model::changes(&self.input, None)
    }

    fn ended(&mut self, ended: Ended, replies: &[Value]) {
        let outcome = match ended.fate {
            Fate::Done if D::has_failed(replies) => Outcome::NotExecuted,
            Fate::Done => match D::told(&self.input, replies) {
                Some(output) => Outcome::Confirmed(output),
                None => panic!("{} of {} was answered with {replies:?}", self.input, self.key),
            },
            Fate::Refused => Outcome::NotExecuted,
            Fate::Unknown => Outcome::Unknown,
        };
        self.history.borrow_mut().push(Operation {
            client: self.client as u32,
            key: self.key.clone(),
            invoked: ended.not_before(self.writes()).0,
            returned: Some(ended.returned.0),
            order: Some(ended.order),
            input: self.input.clone(),
            outcome,
        });
    }
}

impl<D: DataType> Debug for Keyed<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keyed({}, {} operations)", D::NAME, self.history.borrow().len())
    }
}

impl<D: DataType> Debug for KeyedOp<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.key, self.input)
    }
}
